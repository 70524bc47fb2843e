"""How long, and by which clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

_SHORT_CLOCKS = {
    "EVENTFLOW_KAFKA__SESSION": "3",
    "EVENTFLOW_KAFKA__HEARTBEAT": "0.7",
    "EVENTFLOW_RUNNER__LEASE": "8",
    "EVENTFLOW_RUNNER__LEASE_MARGIN": "2",
    "EVENTFLOW_RUNNER__HEARTBEAT": "0.7",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """`seconds` of chaos at least, and up to three times as many until it has shown enough.

    `session` and `lease` are what `settings` make of them. `between` is the pause of the
    publisher between two events.
    """

    seconds: timedelta
    session: timedelta
    lease: timedelta
    between: timedelta = timedelta(milliseconds=1000)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def at_most(self) -> timedelta:
        """After which it stops, whatever it has shown."""
        return 3 * self.seconds


def short(seconds: timedelta) -> Shape:
    """With clocks so short that a take-over takes seconds, and so long that a busy machine can
    start a template within the lease."""
    session, lease = timedelta(seconds=3), timedelta(seconds=8)
    return Shape(seconds, session, lease, settings=_SHORT_CLOCKS)


def at_the_defaults(seconds: timedelta) -> Shape:
    """With the clocks that users have."""
    return Shape(seconds, timedelta(seconds=6), timedelta(seconds=30))
