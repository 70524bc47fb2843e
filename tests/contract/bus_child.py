"""A member of a group in a process of its own, to be killed: `python -m tests.contract.bus_child`.

Arguments: the backend as JSON, group, input topic, output topic. It joins, opens a transaction
on partition 0 with one record for the output topic, prints `open`, and goes on polling.
"""

from __future__ import annotations

import json
import sys

from tests.contract.buses import Backend, Member, open_transaction, until


def main(backend: str, group: str, source: str, target: str) -> None:
    """Until it is killed."""
    member = Member(Backend(**json.loads(backend)).connect(), group, [source])
    until(lambda: 0 in member.owned, member)
    transaction = open_transaction(member.owned[0], target, "of the dead")
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while True:
        member.poll()
        assert transaction is not None


if __name__ == "__main__":
    main(*sys.argv[1:])
