"""Appending to partitions, and finding places in them. Works on a connection handed in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.schema import OFFSET_BITS
from eventflow.errors import RecordTooLarge, TopicMismatch
from eventflow.model.log import Cleanup, Header, Record, TopicPartition
from eventflow.model.offset import Offset

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from eventflow.bus.sqlite.catalogue import Catalogue, Topic
    from eventflow.model.log import NewRecord

__all__ = [
    "Placed",
    "append",
    "milliseconds",
    "offset_at",
    "offset_of",
    "place",
    "position_of",
    "read",
    "slot_of",
    "watermarks",
]

# Milliseconds, as `delete.retention.ms` of Kafka and for the same reason: a reader that stopped
# halfway learns of a deletion when it goes on within a day.
_TOMBSTONE_KEPT = 24 * 60 * 60 * 1000
# A superseded record stays this long, so that whoever reads along sees every one of them.
_SUPERSEDED_KEPT = 60 * 1000
# What Kafka adds to a record: 61 bytes of the batch, about 21 of the record (KIP-98 format).
_OVERHEAD_BYTES = 82
_HEADER_OVERHEAD_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSETS = (1 << OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class Placed:
    """A record that was checked, with the partition where it belongs."""

    topic: Topic
    partition: int
    record: NewRecord


def position_of(slot: int, offset: int) -> int:
    """The key of a record in the table."""
    return slot << OFFSET_BITS | offset


def offset_of(position: int) -> int:
    """The offset in the key of a record."""
    return position & _OFFSETS


def slot_of(position: int) -> int:
    """The partition's slot in the key of a record."""
    return position >> OFFSET_BITS


def milliseconds(at: datetime) -> int:
    """Since 1970, whole ones."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def place(catalogue: Catalogue, record: NewRecord) -> Placed:
    """Where a record goes.

    Raises:
        RecordTooLarge: it exceeds the limit of its topic.
        TopicMismatch: there is no such topic or partition.
    """
    topic = catalogue.topic(record.topic)
    partition = topic.partition_for(record)
    topic.slot(partition)
    if (size := _size(record)) > topic.spec.max_record_bytes:
        raise RecordTooLarge(
            f"A record of {size} bytes exceeds the limit of {record.topic},"
            f" {topic.spec.max_record_bytes} bytes. It was not written."
        )
    return Placed(topic, partition, record)


def append(
    connection: sqlite3.Connection, records: Sequence[Placed], now: int, *, gap: int
) -> list[Offset]:
    """Append in the order given; where each stands. `gap` offsets are skipped in each partition.

    The append time (`now` in milliseconds, LogAppendTime) never goes back within a partition.
    """
    offsets: dict[int, Offset] = {}
    by_slot: dict[int, list[int]] = {}
    for index, placed in enumerate(records):
        by_slot.setdefault(placed.topic.slots[placed.partition], []).append(index)
    for slot, indexes in by_slot.items():
        high, at = _extend(connection, slot, records[indexes[0]], len(indexes) + gap, now)
        batch = [records[index] for index in indexes]
        _insert(connection, batch, position_of(slot, high), at)
        for offset, index in enumerate(indexes, high):
            placed = records[index]
            offsets[index] = Offset(
                placed.topic.spec.name, placed.topic.topic_id, placed.partition, offset
            )
    return [offsets[index] for index in range(len(records))]


def _extend(
    connection: sqlite3.Connection, slot: int, sample: Placed, count: int, now: int
) -> tuple[int, int]:
    """Move the high watermark up; the former one, and the append time."""
    row = connection.execute(
        "SELECT high, appended_at FROM partitions WHERE slot = ?", (slot,)
    ).fetchone()
    if row is None:
        raise TopicMismatch(f"The topic {sample.topic.spec.name} was deleted.")
    high, last = row
    at = max(now, last)
    connection.execute(
        "UPDATE partitions SET high = ?, appended_at = ? WHERE slot = ?", (high + count, at, slot)
    )
    return high, at


def _insert(connection: sqlite3.Connection, batch: list[Placed], first: int, at: int) -> None:
    connection.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
        [
            (position, placed.record.key, placed.record.value, _packed(placed.record.headers), at)
            for position, placed in enumerate(batch, first)
        ],
    )
    if batch[0].topic.spec.cleanup is Cleanup.COMPACT:
        for position, placed in enumerate(batch, first):
            _supersede(connection, position, placed.record, at)


def _supersede(connection: sqlite3.Connection, position: int, record: NewRecord, at: int) -> None:
    """Note what a record of a compacted topic makes superfluous, and that it is the last one."""
    slot = slot_of(position)
    connection.execute(
        "INSERT INTO garbage SELECT ?, position FROM latest WHERE slot = ? AND key = ?",
        (at + _SUPERSEDED_KEPT, slot, record.key),
    )
    connection.execute(
        "INSERT INTO latest VALUES (?, ?, ?)"
        " ON CONFLICT (slot, key) DO UPDATE SET position = excluded.position",
        (slot, record.key, position),
    )
    if record.value is None:
        connection.execute("INSERT INTO garbage VALUES (?, ?)", (at + _TOMBSTONE_KEPT, position))


def watermarks(connection: sqlite3.Connection, slot: int) -> tuple[int, int]:
    """The offset of the first record kept, and the offset after the last one."""
    row = connection.execute("SELECT low, high FROM partitions WHERE slot = ?", (slot,)).fetchone()
    if row is None:
        raise TopicMismatch("The topic of this partition was deleted.")
    low, high = row
    return low, high


def read(
    connection: sqlite3.Connection, at: TopicPartition, start: int, end: int, limit: int
) -> list[Record]:
    """Up to `limit` records of one partition, in order; positions from `start` to before `end`."""
    rows = connection.execute(
        "SELECT position, key, value, headers, appended_at FROM records"
        " WHERE position >= ? AND position < ? ORDER BY position LIMIT ?",
        (start, end, limit),
    ).fetchall()
    return [
        Record(
            at.topic,
            at.partition,
            offset_of(position),
            key,
            value,
            _unpacked(headers),
            datetime.fromtimestamp(appended_at / 1000, UTC),
        )
        for position, key, value, headers, appended_at in rows
    ]


def offset_at(connection: sqlite3.Connection, slot: int, at: datetime) -> int:
    """The first offset appended at `at` or later, by bisection; the high watermark without one."""
    wanted = milliseconds(at + timedelta(microseconds=999))
    low, high = watermarks(connection, slot)
    end, found = high, high
    while low < end:
        middle = (low + end) // 2
        row = connection.execute(
            "SELECT position, appended_at FROM records"
            " WHERE position >= ? AND position < ? ORDER BY position LIMIT 1",
            (position_of(slot, middle), position_of(slot, end)),
        ).fetchone()
        if row is None:
            end = middle
        elif row[1] >= wanted:
            end, found = middle, offset_of(row[0])
        else:
            low = offset_of(row[0]) + 1
    return found


def _size(record: NewRecord) -> int:
    headers = sum(len(k.encode()) + len(v) + _HEADER_OVERHEAD_BYTES for k, v in record.headers)
    return len(record.key) + len(record.value or b"") + headers + _OVERHEAD_BYTES


def _packed(headers: Sequence[Header]) -> str | None:
    """As JSON, each byte as the character of its number: the fastest way that stays readable."""
    if not headers:
        return None
    return json.dumps([(name, value.decode("latin-1")) for name, value in headers])


def _unpacked(headers: str | None) -> tuple[Header, ...]:
    if headers is None:
        return ()
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(headers))
