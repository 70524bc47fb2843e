"""A process that consumes, forks, and publishes in parent and child through the same bus:
`python -m tests.integration.kafka_fork BOOTSTRAP TOPIC`. Both end in the ordinary way, with
everything torn down; the exit status is that of the child."""

from __future__ import annotations

import os
import sys

from tests.contract.buses import Backend, Member, record, unique, until


def main(bootstrap: str, topic: str) -> int:
    """The exit status."""
    bus = Backend("kafka", bootstrap).connect()
    bus.publish([record(topic, "before")])
    member = Member(bus, unique("group"), [topic])
    until(lambda: member.records, member)
    child = os.fork()
    bus.publish([record(topic, "child" if child == 0 else "parent")])
    if child == 0:
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
