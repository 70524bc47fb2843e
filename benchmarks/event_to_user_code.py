"""From `publish()` to the first line of the step that the event starts; its template is warm.

`eventflow up` runs in a process of its own, as deployed. Events come at a steady, slow rate, so
that the figures are latencies and no queues: to the namespace of the flow, and in turns with
these to the whole project, whose partition is another, so that they are forwarded once. Between
them the same bytes go the bare way: on Kafka as `bare_hops` says, a single broker on loopback; on
the embedded bus by a publish under a name that nobody hears, to a plain reader that waits for it.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.bare_hops import bare_hops
from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.place import Place
from eventflow import Event
from eventflow.bus.port import Reader
from eventflow.context import World
from eventflow.model.event import EventRecord
from eventflow.model.log import TopicPartition
from eventflow.model.payload import encode_payload
from tests.support.eventually import eventually

__all__ = ["measure"]

FLOW = Path(__file__).parent / "flows" / "stamp.py"
_OWN = "event → first line of user code"
_FORWARDED = "project-wide event, one forward → first line"
_GOALS = {
    (_OWN, "embedded"): (Goal("p50", 8),),
    (_OWN, "kafka"): (Goal("p50", 12), Goal("p99", 40)),
    (_FORWARDED, "kafka"): (Goal("p50", 18),),
}
_WARM_UPS = 5
_SECOND = 1_000_000  # numbers of the events of the other kind begin here
_PATIENCE_S = 20
_GETTING_READY_S = 60  # a new broker makes its inner topics first
_READY_S = 0.02
_POLL = timedelta(seconds=1)


@dataclass(slots=True)
class _Bare:
    """One bare way: what it is, what goes it once, and the seconds that it took."""

    name: str
    go: Callable[[], float]
    taken: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Go once more."""
        self.taken.append(self.go())


def measure(place: Place, *, events: int, rate: float) -> Iterator[Figure]:
    """The latency of `events` events of each kind, `rate` of each a second."""
    stamps = place.folder / "stamps"
    stamps.mkdir()
    with place.running("up") as cluster, place.connected() as world:
        eventually(lambda: cluster.flow(FLOW, "deploy"), timeout=_GETTING_READY_S)
        for number in range(-_WARM_UPS, 0):
            for branch, first in (("prod", 0), (None, -_SECOND)):
                _publish(first + number, stamps, branch)
                _reached_at(first + number, stamps, _GETTING_READY_S)
        with _bare_ways(world, stamps) as bare:
            taken = _in_turns(stamps, bare, events, 1 / rate)
    for name, seconds in taken.items():
        yield from _figures(place.backend, name, seconds, bare)


def _figures(
    backend: str, name: str, seconds: list[float], bare: Sequence[_Bare]
) -> Iterator[Figure]:
    """One a goal, beside one bare way each; the last one where there are fewer."""
    for index, goal in enumerate(_GOALS.get((name, backend), (None,))):
        way = bare[-1] if name == _FORWARDED else bare[min(index, len(bare) - 1)]
        value, peer = times_ms(seconds), times_ms(way.taken)
        yield Figure("event_to_user_code", backend, name, value, way.name, peer, goal)


def _in_turns(
    stamps: Path, bare: Sequence[_Bare], events: int, period_s: float
) -> dict[str, list[float]]:
    """Own event, bare, forwarded event, bare: at the quarters of a period."""
    own, forwarded = [], []
    begun = time.monotonic()
    for number in range(events):
        quarters = [begun + (number + quarter / 4) * period_s for quarter in range(4)]
        _sleep_until(quarters[0])
        own.append(_publish(number, stamps, "prod"))
        _sleep_until(quarters[1])
        bare[0].measure()
        _sleep_until(quarters[2])
        forwarded.append(_publish(_SECOND + number, stamps, None))
        _sleep_until(quarters[3])
        bare[-1].measure()
    return {_OWN: _latencies(own, stamps, 0), _FORWARDED: _latencies(forwarded, stamps, _SECOND)}


def _latencies(published: list[int], stamps: Path, first: int) -> list[float]:
    reached = [_reached_at(number, stamps) for number in range(first, first + len(published))]
    return [(end - start) / 1e9 for start, end in zip(published, reached, strict=True)]


def _publish(number: int, stamps: Path, branch: str | None) -> int:
    """When it was about to be published."""
    at = time.time_ns()
    payload = {"number": number, "folder": str(stamps)}
    Event("measured", payload, project="default", branch=branch).publish()
    return at


def _reached_at(number: int, stamps: Path, patience_s: float = _PATIENCE_S) -> int:
    def stamp() -> str:
        text = (stamps / str(number)).read_text()
        return text if text.endswith("\n") else ""

    return int(eventually(stamp, timeout=patience_s, message=f"event {number} started nothing"))


# ── bare ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _bare_ways(world: World, stamps: Path) -> Iterator[Sequence[_Bare]]:
    servers = world.settings.kafka.bootstrap_servers
    if servers is None:
        with ThreadPoolExecutor(1) as threads:
            watch = _Watch(world, threads)
            yield [_Bare("publish → plain reader", lambda: watch.published_to_read(stamps))]
            watch.close()
        return
    with bare_hops(servers) as hops:
        yield [
            _Bare("bare produce → consume", lambda: hops.once(_value(world, stamps))),
            _Bare(
                "bare produce → transaction → read",
                lambda: hops.through_transaction(_value(world, stamps)),
            ),
        ]


def _value(world: World, stamps: Path) -> bytes:
    return world.codec.encode(_unheard(stamps))


class _Watch:
    """A plain reader of the event log, which looks only while a bare record is under way."""

    def __init__(self, world: World, threads: ThreadPoolExecutor) -> None:
        self._world, self._threads = world, threads
        topics = world.topics
        where = [TopicPartition(topics.events, each) for each in range(topics.event_partitions)]
        self._reader: Reader = world.bus.reader(
            {each: world.bus.high_watermark(each) for each in where}
        )

    def published_to_read(self, stamps: Path) -> float:
        """Seconds from before the publish until the record is in the reader's hands."""
        record = self._world.codec.new_record(_unheard(stamps))
        self._skip()
        read = self._threads.submit(self._wait_for, record.value)
        time.sleep(_READY_S)
        at = time.monotonic()
        self._world.bus.publish([record])
        return read.result(_PATIENCE_S) - at

    def close(self) -> None:
        """Let go of the reader."""
        self._reader.close()

    def _skip(self) -> None:
        while self._reader.poll(timedelta(milliseconds=1)).records:
            pass

    def _wait_for(self, value: bytes | None) -> float:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            poll = self._reader.poll(_POLL)
            if any(each.value == value for records in poll.records.values() for each in records):
                return time.monotonic()
        raise TimeoutError("the bare record was not read")


def _unheard(stamps: Path) -> EventRecord:
    """The same record but for its name."""
    return EventRecord(
        id=secrets.token_hex(10),
        id_set=True,
        name="overheard",
        namespace="default/prod",
        payload=encode_payload({"number": 0, "folder": str(stamps)}),
        content_type="application/json",
        published_at=datetime.now(UTC),
        source=socket.gethostname(),
    )


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
