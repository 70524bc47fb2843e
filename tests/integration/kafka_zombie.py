"""A member of a group in a process of its own, to be stopped and continued:
`python -m tests.integration.kafka_zombie BOOTSTRAP GROUP SOURCE TARGET WHEN`.

It joins, opens a transaction with one record for each partition that it owns, prints `open`, and
stops polling. When it gets a line on its input it commits what it has left open: `at-once`, or
when it has `rejoined` the group and owns a partition again. It prints what became of each commit.
"""

from __future__ import annotations

import sys

from eventflow.errors import Fenced
from tests.contract.buses import Backend, Member, open_transaction, until


def main(bootstrap: str, group: str, source: str, target: str, when: str) -> None:
    """Until all of its commits have ended."""
    member = Member(Backend("kafka", bootstrap).connect(), group, [source])
    until(lambda: len(member.owned) == 2, member)
    old = dict(member.owned)
    left_open = [open_transaction(each, target, "of the zombie") for each in old.values()]
    _say("open")
    sys.stdin.readline()
    if when == "rejoined":
        until(lambda: member.owned and not set(member.owned.values()) & set(old.values()), member)
    for transaction in left_open:
        try:
            transaction.commit({source: 1}).result(20)
            _say("committed")
        except Fenced:
            _say("Fenced")


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
