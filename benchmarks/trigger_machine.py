"""Events per second that the pure trigger machine decides, with 1,000 deployments in force.

Each event is decoded from its bytes and handed to `matching.handle`, on one core, without a bus;
the ceiling only decodes. The events: see `mix`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figure import Figure, Goal, rates
from benchmarks.mix import DEPLOYMENTS, NAMESPACE, NOW, deployment, mixed, unheard
from eventflow.calendars import CronCalendar
from eventflow.codec.codec import Codec
from eventflow.model.deployment import Deployment
from eventflow.model.event import EventRecord
from eventflow.model.matching import Entry, handle
from eventflow.model.offset import Offset
from eventflow.model.partition_state import Limits, PartitionState, Place
from eventflow.model.state import ActiveVersion
from eventflow.model.topics import Topics

__all__ = ["measure"]

_PART = 1_000


def measure(*, events: int) -> Iterator[Figure]:
    """Over so many events, in parts of 1,000, each part decoded and decided in turns."""
    cases = {
        "mix: 1 in 2 subscribed, 1 in 10 starts": (mixed, Goal("p50", 10_000, True)),
        "events that nobody hears": (unheard, Goal("ratio", 0.5, True)),
    }
    for name, (make, goal) in cases.items():
        ours, bare = _measured(Codec(Topics("bench.", 1, 1)), make, events // _PART)
        value, ceiling = rates(ours, _PART), rates(bare, _PART)
        yield Figure("trigger_machine", "none", name, value, "decode only", ceiling, goal)


def _measured(
    codec: Codec, make: Callable[[int], EventRecord], parts: int
) -> tuple[list[float], list[float]]:
    """Seconds of each part: decided, and only decoded."""
    deployments = [deployment(number) for number in range(DEPLOYMENTS)]
    known = {each.key: each for each in deployments}
    state = _state(deployments)

    calendar = CronCalendar()

    def find(namespace: str, flow: str, version: int) -> Deployment | None:
        return known.get((namespace, flow, version))

    def decide(first: int, values: list[bytes]) -> None:
        for number, value in enumerate(values, start=first):
            body = codec.decode(value)
            assert isinstance(body, EventRecord)
            entry = Entry(Offset("bench.events", "T", 0, number), body, NOW)
            handle(state, entry, NOW, find, calendar)

    def only_decode(_: int, values: list[bytes]) -> None:
        for value in values:
            codec.decode(value)

    ours, bare = [], []
    for first in range(0, parts * _PART, _PART):
        values = [codec.encode(make(number)) for number in range(first, first + _PART)]
        bare.append(_timed(only_decode, first, values))
        ours.append(_timed(decide, first, values))
    return ours, bare


def _timed(work: Callable[[int, list[bytes]], None], first: int, values: list[bytes]) -> float:
    at = time.perf_counter()
    work(first, values)
    return time.perf_counter() - at


def _state(deployments: list[Deployment]) -> PartitionState:
    state = PartitionState(Place(0, 1), Limits())
    for each in deployments:
        active = ActiveVersion(NAMESPACE, each.namespace, each.flow, each.version, each.version)
        state.subscriptions.put(active, each)
    return state
