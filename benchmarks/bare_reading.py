"""Reading records of the event log without eventflow, in batches of 500, and decoding their Avro.

On Kafka a consumer of confluent-kafka with its defaults, but for `read_committed`; on the embedded
bus SELECTs of its own connection. Nothing is done with what was decoded.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from fastavro import parse_schema, schemaless_reader

from eventflow.codec.schemas import schema_text
from eventflow.model.offset import Offset

__all__ = ["BareLoop", "kafka_loop", "sqlite_loop"]

_BATCH = 500
_HEADER_BYTES = 10  # of Avro's single-object encoding
_PATIENCE_S = 20.0
_OFFSET_BITS = 40

Read = Callable[[], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class BareLoop:
    """Goes on where it stopped."""

    read: Read

    def take(self, events: int) -> float:
        """Seconds for so many events, by the rate of the batches that they came in."""
        schema = parse_schema(json.loads(schema_text("Event")), named_schemas={})
        taken, at = 0, time.perf_counter()
        while taken < events:
            values = self.read()
            for value in values:
                schemaless_reader(BytesIO(value[_HEADER_BYTES:]), schema, None)
            taken += len(values)
            if time.perf_counter() - at > _PATIENCE_S:
                raise TimeoutError(f"{taken} of {events} records were read")
        return (time.perf_counter() - at) * events / taken


@contextmanager
def kafka_loop(servers: str, start: Offset) -> Iterator[BareLoop]:
    """From an offset of a topic on."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bare",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(start.topic, start.partition, start.offset)])

    def read() -> list[bytes]:
        return [each.value() or b"" for each in consumer.consume(_BATCH, 1.0)]

    try:
        yield BareLoop(read)
    finally:
        consumer.close()


@contextmanager
def sqlite_loop(folder: Path, start: Offset) -> Iterator[BareLoop]:
    """From an offset of a topic on; the layout of the table: `eventflow/bus/sqlite/schema.py`."""
    connection = sqlite3.connect(folder / "bus.db")
    where = "SELECT slot FROM partitions WHERE topic = ? AND partition = ?"
    (slot,) = connection.execute(where, (start.topic, start.partition)).fetchone()
    after = iter(_positions(connection, (slot << _OFFSET_BITS) + start.offset))
    try:
        yield BareLoop(partial(next, after))
    finally:
        connection.close()


def _positions(connection: sqlite3.Connection, position: int) -> Iterator[list[bytes]]:
    select = "SELECT position, value FROM records WHERE position >= ? ORDER BY position LIMIT ?"
    while rows := connection.execute(select, (position, _BATCH)).fetchall():
        position = rows[-1][0] + 1
        yield [value for _, value in rows]
    raise EOFError("the log has no further records")
