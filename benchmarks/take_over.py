"""What benchmarks of take-overs have in common: how long the dead are waited for.

A dead member of a group keeps its partitions until its session ends; a silent runner keeps its
runs until its lease does, unless it died on the host of its successor, which sees that its
process is gone. A successor cannot be faster than that, so that is the ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from benchmarks.figure import Figure, Goal, limit_ms, times_ms
from benchmarks.place import Place

__all__ = [
    "GETTING_READY_S",
    "PATIENCE_S",
    "SETTLED_S",
    "Clocks",
    "clocks_on",
    "figure",
    "installed",
]

GETTING_READY_S = 60.0  # a new broker makes its inner topics first
SETTLED_S = 3.0  # a service has started and joined its group
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """`session` and `lease`, and the settings that make them so."""

    session: timedelta
    lease: timedelta
    env: dict[str, str]


_DEFAULT = Clocks(timedelta(seconds=6), timedelta(seconds=30), {})
_SHORT = Clocks(
    timedelta(seconds=2),
    timedelta(seconds=4),
    {
        "EVENTFLOW_KAFKA__SESSION": "2",
        "EVENTFLOW_KAFKA__HEARTBEAT": "0.5",
        "EVENTFLOW_RUNNER__LEASE": "4",
        "EVENTFLOW_RUNNER__LEASE_MARGIN": "1",
        "EVENTFLOW_RUNNER__HEARTBEAT": "0.5",
    },
)


def clocks_on(place: Place) -> tuple[Clocks, ...]:
    """The defaults, and short ones where the session is a setting."""
    return (_DEFAULT,) if place.backend == "embedded" else (_DEFAULT, _SHORT)


def installed(place: Place, clocks: Clocks, name: str) -> Place:
    """An installation of its own at a place, with two partitions, one for each of two services."""
    folder = place.folder / f"{name}-{clocks.lease.seconds}"
    folder.mkdir()
    own = {
        "EVENTFLOW_HOME": str(folder / "state"),
        "EVENTFLOW_TOPIC_PREFIX": f"{place.env['EVENTFLOW_TOPIC_PREFIX']}{folder.name}.",
        "EVENTFLOW_PARTITIONS": "2",
    }
    return replace(place, folder=folder, env={**place.env, **own, **clocks.env})


def figure(
    place: Place,
    what: str,
    seconds: Sequence[float],
    bound: tuple[str, timedelta],
    goal: Goal | None = None,
) -> Figure:
    """`bound` is what the dead are waited for, and how long."""
    title, duration = bound
    name, peer = f"SIGKILL → progress: {what}", f"{title} {duration.total_seconds():g} s"
    return Figure(
        "take_over", place.backend, name, times_ms(seconds), peer, limit_ms(duration), goal
    )
