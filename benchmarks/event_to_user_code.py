"""From `publish()` to the first line of the step that the event starts; its template is warm.

`eventflow up` runs in a process of its own, as deployed. Events come at a steady, slow rate, so
that the figure is a latency and no queue. Halfway between two of them the same record is
published under a name that nobody hears, to a plain reader of the same topic that waits for it.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figure import Figure, Goal, Measured, times_ms
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
_GOALS = {"embedded": Goal("p50", 8), "kafka": Goal("p50", 12)}
_WARM_UPS = 5
_PATIENCE_S = 20
_GETTING_READY_S = 60  # a new broker makes its inner topics first
_READY_S = 0.02
_POLL = timedelta(seconds=1)


def measure(place: Place, *, events: int, rate: float) -> Iterator[Figure]:
    """The latency of `events` events, `rate` a second."""
    stamps = place.folder / "stamps"
    stamps.mkdir()
    with place.running("up") as cluster, place.connected() as world:
        eventually(lambda: cluster.flow(FLOW, "deploy"), timeout=_GETTING_READY_S)
        for number in range(_WARM_UPS):
            _publish(-1 - number, stamps)
            _reached_at(-1 - number, stamps, _GETTING_READY_S)
        ours, bare = _alternate(world, stamps, events, 1 / rate)
    name = "event → first line of user code"
    peer = "publish → plain reader"
    yield Figure("event_to_user_code", place.backend, name, ours, peer, bare, _GOALS[place.backend])


def _alternate(
    world: World, stamps: Path, events: int, period_s: float
) -> tuple[Measured, Measured]:
    published, bare = [], []
    with ThreadPoolExecutor(1) as threads:
        watch = _Watch(world, threads)
        begun = time.monotonic()
        for number in range(events):
            _sleep_until(begun + number * period_s)
            published.append(_publish(number, stamps))
            _sleep_until(begun + (number + 0.5) * period_s)
            bare.append(watch.published_to_read(number, stamps))
        watch.close()
    reached = [_reached_at(number, stamps) for number in range(events)]
    ours = [(end - start) / 1e9 for start, end in zip(published, reached, strict=True)]
    return times_ms(ours), times_ms(bare)


def _publish(number: int, stamps: Path) -> int:
    """When it was about to be published."""
    at = time.time_ns()
    Event(
        "measured", {"number": number, "folder": str(stamps)}, project="default", branch="prod"
    ).publish()
    return at


def _reached_at(number: int, stamps: Path, patience_s: float = _PATIENCE_S) -> int:
    def stamp() -> str:
        text = (stamps / str(number)).read_text()
        return text if text.endswith("\n") else ""

    return int(eventually(stamp, timeout=patience_s, message=f"event {number} started nothing"))


class _Watch:
    """A plain reader of the event log, which looks only while a bare record is under way."""

    def __init__(self, world: World, threads: ThreadPoolExecutor) -> None:
        self._world, self._threads = world, threads
        topics = world.topics
        where = [TopicPartition(topics.events, each) for each in range(topics.event_partitions)]
        self._reader: Reader = world.bus.reader(
            {each: world.bus.high_watermark(each) for each in where}
        )

    def published_to_read(self, number: int, stamps: Path) -> float:
        """Seconds from before the publish until the record is in the reader's hands."""
        record = self._world.codec.new_record(_unheard(number, stamps))
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


def _unheard(number: int, stamps: Path) -> EventRecord:
    """The same record but for its name."""
    return EventRecord(
        id=secrets.token_hex(10),
        id_set=True,
        name="overheard",
        namespace="default/prod",
        payload=encode_payload({"number": number, "folder": str(stamps)}),
        content_type="application/json",
        published_at=datetime.now(UTC),
        source=socket.gethostname(),
    )


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
