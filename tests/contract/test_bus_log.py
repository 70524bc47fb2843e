"""The log itself: topics, publishing, reading, watermarks, time, limits, compaction."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.errors import RecordTooLarge, TopicMismatch
from eventflow.model.log import Cleanup, NewRecord, TopicPartition, TopicSpec, partition_of
from tests.contract.buses import (
    LIMIT_BYTES,
    SHORT,
    Backend,
    committed,
    make_topic,
    record,
    spec,
    unique,
    values,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Bus, Reader
    from eventflow.model.log import Record


# ── topics ───────────────────────────────────────────────────────────────────
def test_ensure_makes_what_is_missing_and_says_so(bus: Bus) -> None:
    first, second = spec(3), spec(1, Cleanup.COMPACT)

    made = bus.ensure([first, second], create=True)
    again = bus.ensure([first, second], create=True)

    assert sorted(made) == sorted([first.name, second.name])
    assert list(again) == []
    assert bus.topic(first.name).partitions == 3


def test_a_topic_made_by_one_process_is_as_it_has_to_be_for_another(
    bus: Bus, connect: Callable[[], Bus]
) -> None:
    wanted = spec(3)
    bus.ensure([wanted], create=True)
    other = connect()

    assert list(other.ensure([wanted], create=False)) == []
    assert other.topic(wanted.name) == bus.topic(wanted.name)


def test_a_missing_topic_is_named_when_it_may_not_be_made(bus: Bus) -> None:
    wanted = spec()

    with pytest.raises(TopicMismatch, match=wanted.name):
        bus.ensure([wanted], create=False)

    with pytest.raises(TopicMismatch, match=wanted.name):
        bus.topic(wanted.name)


def _other_partitions(wanted: TopicSpec) -> TopicSpec:
    return replace(wanted, partitions=7)


def _other_cleanup(wanted: TopicSpec) -> TopicSpec:
    return replace(wanted, cleanup=Cleanup.COMPACT)


def _other_limit(wanted: TopicSpec) -> TopicSpec:
    return replace(wanted, max_record_bytes=234_567)


def _longer_retention(wanted: TopicSpec) -> TopicSpec:
    """The topic there keeps too little; one that keeps more than is asked for is fine."""
    return replace(wanted, retention=timedelta(days=7))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_other_partitions, ("2", "7")),
        (_other_cleanup, ("delete", "compact")),
        (_other_limit, (str(LIMIT_BYTES), "234567")),
        (_longer_retention, ()),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_topic_that_differs_is_refused_with_the_difference(
    bus: Bus, change: Callable[[TopicSpec], TopicSpec], named: tuple[str, ...], *, create: bool
) -> None:
    wanted = spec(2)
    bus.ensure([wanted], create=True)

    with pytest.raises(TopicMismatch) as refused:
        bus.ensure([change(wanted)], create=create)

    assert all(text in str(refused.value) for text in (wanted.name, *named))
    assert list(bus.ensure([wanted], create=False)) == []


def test_every_difference_is_listed_at_once(bus: Bus) -> None:
    first, second = spec(2), spec(2)
    bus.ensure([first, second], create=True)

    with pytest.raises(TopicMismatch) as refused:
        bus.ensure([_other_partitions(first), _other_limit(second)], create=False)

    assert all(text in str(refused.value) for text in (first.name, second.name, "7", "234567"))


def test_a_topic_with_more_room_than_asked_for_is_fine(bus: Bus) -> None:
    wanted = spec(2)
    bus.ensure([wanted], create=True)
    less = replace(wanted, retention=timedelta(hours=7), max_record_bytes=50_000)

    assert list(bus.ensure([less], create=False)) == []


def test_a_topic_made_again_has_another_id_and_starts_empty(
    backend: Backend, connect: Callable[[], Bus]
) -> None:
    wanted, before = spec(), connect()
    before.ensure([wanted], create=True)
    before.publish([record(wanted.name, "of the former")])
    former = before.topic(wanted.name).topic_id
    backend.delete_topic(wanted.name)

    after = connect()
    eventually(lambda: after.ensure([wanted], create=True))
    after.publish([record(wanted.name, "of the new one")])

    assert after.topic(wanted.name).topic_id != former
    assert before.topic(wanted.name).topic_id != former
    assert committed(after, wanted.name) == ["of the new one"]


def test_a_topic_id_tells_two_topics_apart(bus: Bus) -> None:
    first, second = make_topic(bus), make_topic(bus)

    assert bus.topic(first).topic_id
    assert bus.topic(first).topic_id != bus.topic(second).topic_id


# ── publishing and reading ───────────────────────────────────────────────────
def test_publish_returns_where_each_record_stands_in_the_order_given(bus: Bus) -> None:
    topic = make_topic(bus, 3)
    other = make_topic(bus)
    given = [record(topic, f"v{n}", partition=n % 3) for n in range(9)]
    given.insert(4, record(other, "elsewhere"))

    offsets = bus.publish(given)

    stands = {
        (entry.topic, entry.partition, entry.offset): entry.value
        for partition in (TopicPartition(other, 0), *_partitions(topic, 3))
        for entry in read_to_end(bus, partition)
    }
    assert [stands[at.topic, at.partition, at.offset] for at in offsets] == [
        entry.value for entry in given
    ]
    assert {at.topic_id for at in offsets} == {bus.topic(topic).topic_id, bus.topic(other).topic_id}


def test_records_of_one_key_are_read_in_the_order_published(bus: Bus) -> None:
    topic = make_topic(bus, 3)
    keys = ["a", "b", "c", "d"]

    for n in range(25):
        bus.publish([NewRecord(topic, key.encode(), f"{key}{n}".encode()) for key in keys])

    for key in keys:
        partition = TopicPartition(topic, partition_of(key.encode(), 3))
        of_key = [r for r in read_to_end(bus, partition) if r.key == key.encode()]
        assert values(of_key) == [f"{key}{n}" for n in range(25)]
        assert _grows([entry.offset for entry in of_key])


def test_a_keyed_record_lands_in_the_murmur2_partition_of_its_key(bus: Bus) -> None:
    topic = make_topic(bus, 7)
    keys = [f"project/branch-{n}".encode() for n in range(40)]

    offsets = bus.publish([NewRecord(topic, key, b"v") for key in keys])

    assert [at.partition for at in offsets] == [partition_of(key, 7) for key in keys]


def test_a_record_is_read_as_it_was_written(backend: Backend, bus: Bus) -> None:
    topic = make_topic(bus)
    headers = (("ce_id", b"1"), ("ce_id", b"2"), ("raw", bytes(range(256))), ("empty", b""))
    before = backend.now() - timedelta(milliseconds=1)

    (offset,) = bus.publish([NewRecord(topic, b"\x00\xff", bytes(range(256)), headers)])
    (read,) = read_to_end(bus, TopicPartition(topic, 0))

    assert (read.topic, read.partition, read.offset) == (topic, 0, offset.offset)
    assert (read.key, read.value, read.headers) == (b"\x00\xff", bytes(range(256)), headers)
    assert before <= read.appended_at <= backend.now()
    assert read.appended_at.tzinfo is UTC


def test_an_empty_value_is_not_a_tombstone(bus: Bus) -> None:
    topic = make_topic(bus)

    bus.publish([record(topic, b""), record(topic, None)])

    read = list(read_to_end(bus, TopicPartition(topic, 0)))
    assert [entry.value for entry in read] == [b"", None]


def test_several_threads_publish_at_once_and_nothing_is_lost(backend: Backend, bus: Bus) -> None:
    if backend.kind == "simulated":
        pytest.skip("a simulated universe has one thread")
    topic = make_topic(bus, 2)

    def publish(thread: int) -> list[int]:
        return [
            bus.publish([record(topic, f"{thread}-{n}", partition=thread % 2)])[0].offset
            for n in range(25)
        ]

    with ThreadPoolExecutor(8) as threads:
        offsets = list(threads.map(publish, range(8)))

    assert all(_grows(of_thread) for of_thread in offsets)
    for partition in range(2):
        read = committed(bus, topic, partition)
        mine = [f"{thread}-{n}" for thread in range(partition, 8, 2) for n in range(25)]
        assert sorted(read) == sorted(mine)


def test_nothing_published_is_a_publish_too(bus: Bus) -> None:
    assert list(bus.publish([])) == []


def test_a_reader_starts_at_the_offset_given(bus: Bus) -> None:
    topic = make_topic(bus)
    offsets = bus.publish([record(topic, f"v{n}") for n in range(5)])

    read = list(read_to_end(bus, TopicPartition(topic, 0), offsets[3].offset))

    assert values(read) == ["v3", "v4"]


def test_a_reader_reads_several_partitions_and_ends_each(bus: Bus) -> None:
    topic = make_topic(bus, 3)
    bus.publish([record(topic, f"v{n}", partition=n % 2) for n in range(10)])

    with closing(bus.reader(dict.fromkeys(_partitions(topic, 3), 0))) as reader:
        records, ended = _drain(reader, 3)

    assert sorted(values(records)) == [f"v{n}" for n in range(10)]
    assert ended == {at: bus.high_watermark(at) for at in _partitions(topic, 3)}


def test_a_reader_sees_what_is_appended_while_it_waits_and_ends_again(bus: Bus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    with closing(bus.reader({at: 0})) as reader:
        _, first_end = _drain(reader, 1)

        bus.publish([record(topic, "late")])
        records, second_end = _drain(reader, 1)

    assert (first_end, values(records)) == ({at: 0}, ["late"])
    assert second_end == {at: bus.high_watermark(at)}


def test_a_poll_ends_as_soon_as_a_record_is_there(backend: Backend, bus: Bus) -> None:
    topic = make_topic(bus)
    with closing(bus.reader({TopicPartition(topic, 0): 0})) as reader:
        _drain(reader, 1)
        with backend.later(
            timedelta(milliseconds=200), lambda: bus.publish([record(topic, "late")])
        ):
            poll = reader.poll(timedelta(seconds=60))

    assert [values(records) for records in poll.records.values()] == [["late"]]


def test_a_poll_brings_at_most_the_limit_and_skips_nothing(bus: Bus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, f"v{n}") for n in range(23)])
    seen: list[str] = []

    with closing(bus.reader({TopicPartition(topic, 0): 0})) as reader:

        def poll() -> bool:
            brought = [r for rs in reader.poll(SHORT, limit=5).records.values() for r in rs]
            seen.extend(values(brought))
            assert len(brought) <= 5
            return len(seen) >= 23

        eventually(poll)

    assert seen == [f"v{n}" for n in range(23)]


def test_a_partition_with_a_backlog_does_not_starve_the_others(bus: Bus) -> None:
    topic = make_topic(bus, 2)
    for _ in range(20):  # 2 MB: Kafka hands out what it fetches, 1 MB of a partition at a time
        bus.publish([record(topic, "backlog" * 150, partition=0)] * 100)
    bus.publish([record(topic, "single", partition=1)])
    seen: list[str] = []

    with closing(bus.reader(dict.fromkeys(_partitions(topic, 2), 0))) as reader:
        while "single" not in seen and len(seen) < 2001:
            poll = reader.poll(timedelta(seconds=5), limit=100)
            seen += [text for records in poll.records.values() for text in values(records)]

    assert "single" in seen
    assert len(seen) < 2001


# ── watermarks and time ──────────────────────────────────────────────────────
def test_the_high_watermark_is_the_offset_after_the_last_record(bus: Bus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    empty = bus.high_watermark(at)

    offsets = bus.publish([record(topic, "a"), record(topic, "b")])

    assert empty == 0
    assert bus.high_watermark(at) == offsets[-1].offset + 1
    assert bus.low_watermark(at) == 0


def test_a_time_finds_the_first_offset_appended_then_or_later(backend: Backend, bus: Bus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    for n in range(6):
        bus.publish([record(topic, f"v{n}")])
        backend.let_pass(timedelta(milliseconds=3))
    read = list(read_to_end(bus, at))

    for wanted in read:
        first = next(r.offset for r in read if r.appended_at >= wanted.appended_at)
        assert bus.offset_at(at, wanted.appended_at) == first
    between = read[2].appended_at + timedelta(microseconds=1)
    assert bus.offset_at(at, between) == next(r.offset for r in read if r.appended_at >= between)


def test_a_time_before_the_first_record_finds_the_first(bus: Bus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, "a")])

    assert bus.offset_at(TopicPartition(topic, 0), datetime(2020, 1, 1, tzinfo=UTC)) == 0


def test_a_time_after_the_last_record_finds_the_high_watermark(backend: Backend, bus: Bus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    empty = bus.offset_at(at, backend.now())

    bus.publish([record(topic, "a")])

    assert empty == 0
    assert bus.offset_at(at, backend.now() + timedelta(hours=1)) == bus.high_watermark(at)


def test_the_append_time_never_goes_back_within_a_partition(bus: Bus) -> None:
    topic = make_topic(bus)

    for n in range(30):
        bus.publish([record(topic, f"v{n}")])

    times = [entry.appended_at for entry in read_to_end(bus, TopicPartition(topic, 0))]
    assert times == sorted(times)


# ── limits ───────────────────────────────────────────────────────────────────
def test_a_record_over_the_limit_is_refused_and_not_written(bus: Bus) -> None:
    topic = make_topic(bus)

    with pytest.raises(RecordTooLarge):
        bus.publish([record(topic, os.urandom(LIMIT_BYTES + 1))])

    bus.publish([record(topic, "fits")])
    assert committed(bus, topic) == ["fits"]


def test_a_record_just_below_the_limit_fits(bus: Bus) -> None:
    topic = make_topic(bus)

    bus.publish([record(topic, os.urandom(LIMIT_BYTES - 1024))])

    (read,) = read_to_end(bus, TopicPartition(topic, 0))
    assert len(read.value or b"") == LIMIT_BYTES - 1024


def test_the_limit_is_that_of_one_record_and_not_of_all_together(bus: Bus) -> None:
    topic = make_topic(bus)
    large = [record(topic, os.urandom(LIMIT_BYTES // 3)) for _ in range(10)]

    bus.publish(large)

    read = list(read_to_end(bus, TopicPartition(topic, 0)))
    assert [entry.value for entry in read] == [entry.value for entry in large]


def test_each_topic_has_its_own_limit(bus: Bus) -> None:
    small, large = spec(limit=10_000), spec(limit=2_000_000)
    bus.ensure([small, large], create=True)
    value = os.urandom(1_500_000)

    bus.publish([record(large.name, value)])
    with pytest.raises(RecordTooLarge):
        bus.publish([record(small.name, value)])

    assert [r.value for r in read_to_end(bus, TopicPartition(large.name, 0))] == [value]


# ── compacted topics ─────────────────────────────────────────────────────────
def test_a_compacted_topic_restores_to_the_last_value_of_each_key(bus: Bus) -> None:
    topic = make_topic(bus, cleanup=Cleanup.COMPACT)
    for n in range(10):
        bus.publish([record(topic, f"{key}{n}", key=key) for key in "abc"])
    bus.publish([record(topic, None, key="b")])

    state: dict[bytes | None, bytes] = {}
    for entry in read_to_end(bus, TopicPartition(topic, 0)):
        if entry.value is None:
            state.pop(entry.key, None)
        else:
            state[entry.key] = entry.value

    assert state == {b"a": b"a9", b"c": b"c9"}


def test_what_one_process_published_another_reads(bus: Bus, connect: Callable[[], Bus]) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, "a")])
    other = connect()
    other.publish([record(topic, "b")])

    assert committed(bus, topic) == committed(other, topic) == ["a", "b"]


def test_what_was_published_is_there_after_everybody_left(backend: Backend) -> None:
    name = unique("topic")
    with closing(backend.connect()) as first:
        first.ensure([spec(name=name)], create=True)
        first.publish([record(name, "kept")])
        topic_id = first.topic(name).topic_id

    with closing(backend.connect()) as second:
        assert committed(second, name) == ["kept"]
        assert second.topic(name).topic_id == topic_id


def _partitions(topic: str, count: int) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def _grows(offsets: list[int]) -> bool:
    return all(first < second for first, second in pairwise(offsets))


def _drain(reader: Reader, partitions: int) -> tuple[list[Record], dict[TopicPartition, int]]:
    """Read until that many partitions have ended since the last record of each."""
    records: list[Record] = []
    ended: dict[TopicPartition, int] = {}

    def poll() -> bool:
        brought = reader.poll(SHORT)
        for at, of_partition in brought.records.items():
            records.extend(of_partition)
            ended.pop(at, None)
        ended.update(brought.ended)
        return len(ended) == partitions

    eventually(poll)
    return records, ended
