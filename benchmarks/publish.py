"""From `publish()` to its return, when the event is durable.

Beside it, in turns: on the embedded bus an insert of the same bytes into a SQLite database of its
own (WAL, `synchronous=FULL`, one transaction each); on Kafka a bare produce with `acks=all`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta

from confluent_kafka import Producer

from benchmarks.figure import Figure, times_ms
from benchmarks.place import Place
from eventflow import Event
from eventflow.bus.port import Bus
from eventflow.context import World
from eventflow.model.log import TopicPartition

__all__ = ["measure"]

_WARM_UPS = 20
_PATIENCE_S = 20.0
_PAYLOAD = {"table": "warehouse.orders", "rows": 1_234}


def measure(place: Place, *, events: int) -> Iterator[Figure]:
    """Over so many events, one after the other."""
    with place.connected() as world, _bare(place, world) as (peer, bare):
        value = _published(world)
        for _ in range(_WARM_UPS):
            _timed(_publish)
            _timed(lambda: bare(value))
        ours, peers = [], []
        for _ in range(events):
            ours.append(_timed(_publish))
            peers.append(_timed(lambda: bare(value)))
    name = "publish → acknowledged"
    yield Figure("publish", place.backend, name, times_ms(ours), peer, times_ms(peers))


def _publish() -> None:
    Event("landed", _PAYLOAD, project="default", branch="prod").publish()


def _published(world: World) -> bytes:
    """The bytes of such an event, as they stand in the log."""
    event = Event("landed", _PAYLOAD, project="default", branch="prod")
    offset = event.publish().offset
    return _value_at(world.bus, TopicPartition(offset.topic, offset.partition), offset.offset)


def _value_at(bus: Bus, where: TopicPartition, offset: int) -> bytes:
    deadline = time.monotonic() + _PATIENCE_S
    with closing(bus.reader({where: offset})) as reader:
        while time.monotonic() < deadline:
            for record in reader.poll(timedelta(seconds=1)).records.get(where, ()):
                if record.value is not None:
                    return record.value
    raise TimeoutError(f"{where} has no record at {offset}")


def _bare(
    place: Place, world: World
) -> AbstractContextManager[tuple[str, Callable[[bytes], None]]]:
    if world.settings.kafka.bootstrap_servers is None:
        return _sqlite(place)
    return _kafka(world, world.settings.kafka.bootstrap_servers)


@contextmanager
def _sqlite(place: Place) -> Iterator[tuple[str, Callable[[bytes], None]]]:
    path = place.folder / "bare.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE log (number INTEGER PRIMARY KEY, value BLOB)")

        def insert(value: bytes) -> None:
            connection.execute("INSERT INTO log (value) VALUES (?)", (value,))

        yield "SQLite insert, synchronous=FULL", insert


@contextmanager
def _kafka(world: World, servers: str) -> Iterator[tuple[str, Callable[[bytes], None]]]:
    settings = {"bootstrap.servers": servers, "acks": "all", "linger.ms": 0}
    producer = Producer(settings)

    def produce(value: bytes) -> None:
        producer.produce(world.topics.decisions, value, b"default/prod")
        if producer.flush(_PATIENCE_S):
            raise TimeoutError("the bare produce was not acknowledged")

    yield "confluent-kafka produce, acks=all", produce


def _timed(work: Callable[[], None]) -> float:
    at = time.perf_counter()
    work()
    return time.perf_counter() - at
