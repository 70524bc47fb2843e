"""Events per second through the whole trigger service: read, decided, and durably written.

The service runs in this process, over a backlog in one partition with 1,000 deployments in force.
The ceiling reads the same records and decodes their Avro: see `bare_reading`. Both take parts of
the backlog in turns. A rate is wall-clock time; the broker and the threads of its client want a
second core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

from prometheus_client import CollectorRegistry

from benchmarks.bare_reading import BareLoop, kafka_loop, sqlite_loop
from benchmarks.figure import Figure, Goal, rates
from benchmarks.mix import DEPLOYMENTS, NOW, deployment, mixed, unheard
from benchmarks.place import Place
from eventflow import app
from eventflow.context import World
from eventflow.model.deployment import Activation
from eventflow.model.event import EventRecord
from eventflow.model.offset import Offset

__all__ = ["measure"]

_PARTS = 8
_STEP = timedelta(milliseconds=100)
_PATIENCE_S = 120.0
_PRELOADED_AT_ONCE = 5_000
_CASES: dict[str, tuple[Callable[[int], EventRecord], Goal]] = {
    "mix: 1 in 2 subscribed, 1 in 10 starts": (mixed, Goal("p50", 10_000, True)),
    "events that nobody hears": (unheard, Goal("ratio", 0.5, True)),
}


def measure(place: Place, *, events: int) -> Iterator[Figure]:
    """Over so many events of each kind, in parts of an eighth or a little more."""
    part = events // _PARTS
    with place.connected() as world:
        service = _Service(world)
        _deploy(world, service)
        for number, (case, (make, goal)) in enumerate(_CASES.items()):
            start = _preload(world, make, range(number * events, (number + 1) * events))
            with _bare(world, start) as bare:
                ours, ceiling = _in_turns(service, bare, events)
            value, peer = rates(ours, part), rates(ceiling, part)
            yield Figure(
                "decisions", place.backend, case, value, "bare read and decode", peer, goal
            )
        service.close()


def _in_turns(service: _Service, bare: BareLoop, events: int) -> tuple[list[float], list[float]]:
    """Seconds of each part, but for the last one: there the log ends."""
    part, ours, ceiling = events // _PARTS, [], []
    end = service.count("event") + events
    while service.count("event") <= end - 2 * part:
        ours.append(service.take(part))
        ceiling.append(bare.take(part))
    service.take_until("event", end)
    return ours, ceiling


def _deploy(world: World, service: _Service) -> None:
    """All deployments in force, as `deploy` leaves them."""
    codec, made = world.codec, [deployment(number) for number in range(DEPLOYMENTS)]
    world.bus.publish([codec.new_record(each) for each in made])
    marks = [Activation(each.namespace, each.namespace, each.flow, 1, False, NOW) for each in made]
    world.bus.publish([codec.new_record(each) for each in marks])
    service.take_until("activation", DEPLOYMENTS)


def _preload(world: World, make: Callable[[int], EventRecord], numbers: range) -> Offset:
    """Where the first one stands."""
    starts = []
    for first in range(numbers.start, numbers.stop, _PRELOADED_AT_ONCE):
        some = range(first, min(first + _PRELOADED_AT_ONCE, numbers.stop))
        records = [world.codec.new_record(make(number)) for number in some]
        starts.append(world.bus.publish(records)[0])
    return starts[0]


def _bare(world: World, start: Offset) -> AbstractContextManager[BareLoop]:
    servers = world.settings.kafka.bootstrap_servers
    if servers is None:
        return sqlite_loop(world.settings.folder, start)
    return kafka_loop(servers, start)


class _Service:
    """A trigger service, stepped by hand."""

    def __init__(self, world: World) -> None:
        self._registry = CollectorRegistry()
        self._service = app.trigger_service(world, self._registry)

    def count(self, kind: str) -> int:
        """Records of a kind whose transaction has committed."""
        found = self._registry.get_sample_value("eventflow_events_total", {"kind": kind})
        return int(found or 0)

    def take(self, events: int) -> float:
        """Seconds for so many events, by the rate of the transactions that they came in."""
        before, at = self.count("event"), time.perf_counter()
        self.take_until("event", before + events)
        return (time.perf_counter() - at) * events / (self.count("event") - before)

    def take_until(self, kind: str, count: int) -> None:
        """Until so many records of a kind are committed."""
        at = time.perf_counter()
        while self.count(kind) < count:
            self._step(at)

    def close(self) -> None:
        """Leave the group."""
        self._service.close()

    def _step(self, begun_at: float) -> None:
        if time.perf_counter() - begun_at > _PATIENCE_S:
            raise TimeoutError(f"no end within {_PATIENCE_S} s: {self._service.progress}")
        self._service.step(_STEP)
