"""What the embedded bus deletes, when, and what it never loses; by a clock set by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.bus.sqlite import SqliteBus
from eventflow.effects import Effects
from eventflow.model.log import Cleanup, NewRecord, TopicPartition, TopicSpec
from tests.support.hand_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventflow.bus.port import Consumer

LOG = TopicSpec("log", 1, Cleanup.DELETE, timedelta(hours=1), 1_000_000)
TABLE = TopicSpec("table", 1, Cleanup.COMPACT, None, 1_000_000)
FOR_EVER = TopicSpec("for-ever", 1, Cleanup.DELETE, None, 1_000_000)
NOW = timedelta()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus(tmp_path: Path, clock: HandClock) -> Iterator[SqliteBus]:
    with closing(SqliteBus(tmp_path, effects=Effects(clock=clock))) as bus:
        bus.ensure([LOG, TABLE, FOR_EVER], create=True)
        yield bus


@pytest.fixture
def member(bus: SqliteBus) -> Consumer:
    """Housekeeping is done while members poll."""
    return bus.consumer("group", ["log"], transactional_id="tx")


def _publish(bus: SqliteBus, topic: str, *entries: tuple[str, str | None]) -> list[int]:
    records = [
        NewRecord(topic, key.encode(), None if value is None else value.encode())
        for key, value in entries
    ]
    return [at.offset for at in bus.publish(records)]


def _read(bus: SqliteBus, topic: str) -> list[str | None]:
    records = read_to_end(bus, TopicPartition(topic, 0))
    return [None if r.value is None else r.value.decode() for r in records]


def _rows(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "bus.db")) as file:
        (count,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(count)


def _poll_for(member: Consumer, clock: HandClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.move(timedelta(seconds=1))
        member.poll(NOW)


# ── retention ────────────────────────────────────────────────────────────────
def test_records_older_than_the_retention_go_and_the_watermarks_stay(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    at = TopicPartition("log", 0)
    _publish(bus, "log", ("k", "old"), ("k", "old too"))
    clock.move(timedelta(minutes=50))
    (young,) = _publish(bus, "log", ("k", "young"))
    clock.move(timedelta(minutes=11))

    member.poll(NOW)

    assert _read(bus, "log") == ["young"]
    assert (bus.low_watermark(at), bus.high_watermark(at)) == (young, young + 1)
    assert bus.offset_at(at, datetime(2026, 1, 1, tzinfo=UTC)) == young


def test_a_log_that_lost_everything_goes_on_at_its_high_watermark(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    at = TopicPartition("log", 0)
    (last,) = _publish(bus, "log", ("k", "old"))
    clock.move(timedelta(hours=2))

    member.poll(NOW)
    empty = (bus.low_watermark(at), bus.high_watermark(at))
    (offset,) = _publish(bus, "log", ("k", "new"))

    assert empty == (last + 1, last + 1)
    assert offset == last + 1
    assert _read(bus, "log") == ["new"]


def test_a_backlog_is_deleted_in_steps(
    bus: SqliteBus, member: Consumer, clock: HandClock, tmp_path: Path
) -> None:
    _publish(bus, "log", *[("k", "old")] * 2500)
    clock.move(timedelta(hours=2))

    member.poll(NOW)
    after_one_step = _rows(tmp_path, "records")
    _poll_for(member, clock, 3)

    assert after_one_step == 1500
    assert _rows(tmp_path, "records") == 0


def test_a_log_without_retention_keeps_everything(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    _publish(bus, "for-ever", ("k", "old"))
    clock.move(timedelta(days=10_000))

    _poll_for(member, clock, 3)

    assert _read(bus, "for-ever") == ["old"]


def test_a_reader_behind_the_first_record_kept_starts_there(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    _publish(bus, "log", ("k", "old"))
    clock.move(timedelta(hours=2))
    member.poll(NOW)
    _publish(bus, "log", ("k", "new"))

    with closing(bus.reader({TopicPartition("log", 0): 0})) as reader:
        (records,) = reader.poll(NOW).records.values()

    assert [record.value for record in records] == [b"new"]


# ── compaction ───────────────────────────────────────────────────────────────
def test_superseded_values_go_after_a_while_and_the_last_one_never(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    for n in range(3):
        _publish(bus, "table", ("a", f"a{n}"), ("b", f"b{n}"))
    member.poll(NOW)
    everything = _read(bus, "table")

    clock.move(timedelta(days=10_000))
    _poll_for(member, clock, 3)

    assert everything == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert _read(bus, "table") == ["a2", "b2"]
    assert bus.high_watermark(TopicPartition("table", 0)) == 6


def test_a_value_superseded_within_one_transaction_goes_too(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    with closing(bus.writer("tx", timeout=timedelta(seconds=1))) as writer:
        transaction = writer.begin()
        for value in (b"first", b"second"):
            transaction.append(NewRecord("table", b"k", value))
        transaction.commit().result()

    _poll_for(member, clock, 122)

    assert _read(bus, "table") == ["second"]


def test_a_tombstone_stays_a_day_and_then_leaves_nothing(
    bus: SqliteBus, member: Consumer, clock: HandClock, tmp_path: Path
) -> None:
    _publish(bus, "table", ("a", "value"))
    _publish(bus, "table", ("a", None))
    clock.move(timedelta(hours=23))
    member.poll(NOW)
    within_a_day = _read(bus, "table")

    clock.move(timedelta(hours=2))
    member.poll(NOW)

    assert within_a_day == [None]
    assert _read(bus, "table") == []
    assert [_rows(tmp_path, table) for table in ("records", "latest", "garbage")] == [0, 0, 0]
    assert bus.high_watermark(TopicPartition("table", 0)) == 2


def test_a_key_that_came_back_after_its_tombstone_is_kept(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    _publish(bus, "table", ("a", None), ("a", "back"))

    clock.move(timedelta(days=3))
    _poll_for(member, clock, 3)

    assert _read(bus, "table") == ["back"]


def test_keys_of_other_partitions_and_topics_do_not_supersede(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    bus.ensure([TopicSpec("other", 2, Cleanup.COMPACT, None, 1_000_000)], create=True)
    _publish(bus, "table", ("k", "table"))
    for partition in (0, 1):
        bus.publish([NewRecord("other", b"k", b"%d" % partition, partition=partition)])

    clock.move(timedelta(days=3))
    _poll_for(member, clock, 3)

    assert _read(bus, "table") == ["table"]
    for partition in (0, 1):
        (kept,) = read_to_end(bus, TopicPartition("other", partition))
        assert kept.value == b"%d" % partition
