"""Transactions: records and offsets together, or not at all."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.errors import RecordTooLarge
from eventflow.model.log import Cleanup, TopicPartition
from tests.contract.buses import (
    LIMIT_BYTES,
    SHORT,
    Backend,
    Member,
    committed,
    make_topic,
    open_transaction,
    owns,
    record,
    unique,
    until,
    values,
    write,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.bus.port import Bus, Reader, Writer
    from eventflow.model.log import Record

TIMEOUT = timedelta(seconds=10)


@pytest.fixture
def writer(bus: Bus) -> Iterator[Writer]:
    """The holder of a transactional id of its own."""
    with closing(bus.writer(unique("tx"), timeout=TIMEOUT)) as held:
        yield held


def _commit(writer: Writer, *topics: str, value: str = "v") -> None:
    transaction = writer.begin()
    for topic in topics:
        transaction.append(record(topic, value))
    transaction.commit().result(20)


def test_all_records_of_a_transaction_become_visible(bus: Bus, writer: Writer) -> None:
    topics = [make_topic(bus), make_topic(bus, cleanup=Cleanup.COMPACT)]

    _commit(writer, *topics)

    assert [committed(bus, topic) for topic in topics] == [["v"], ["v"]]


def test_a_writer_goes_on_with_one_transaction_after_another(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)

    for n in range(5):
        _commit(writer, topic, value=f"v{n}")

    assert committed(bus, topic) == [f"v{n}" for n in range(5)]


def test_offsets_of_a_transactional_topic_have_gaps(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)

    _commit(writer, topic)
    _commit(writer, topic)

    first, second = read_to_end(bus, TopicPartition(topic, 0))
    assert second.offset > first.offset + 1


def test_a_transaction_is_invisible_until_it_is_committed(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)
    with closing(bus.reader({TopicPartition(topic, 0): 0})) as reader:
        transaction = writer.begin()
        transaction.append(record(topic, "v"))

        while_open = [entry for _ in range(10) for entry in _poll(reader)]
        transaction.commit().result(20)
        committed = eventually(lambda: _poll(reader))

    assert (values(while_open), values(committed)) == ([], ["v"])


def test_an_aborted_transaction_is_invisible(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)
    transaction = writer.begin()
    transaction.append(record(topic, "aborted"))

    transaction.abort()
    transaction.abort()
    _commit(writer, topic, value="after")

    assert committed(bus, topic) == ["after"]


def test_an_abort_after_the_commit_changes_nothing(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)
    transaction = writer.begin()
    transaction.append(record(topic, "v"))
    transaction.commit().result(20)

    transaction.abort()
    _commit(writer, topic, value="next")

    assert committed(bus, topic) == ["v", "next"]


def test_what_a_writer_left_open_when_it_closed_is_invisible(bus: Bus) -> None:
    topic = make_topic(bus)
    writer = bus.writer(unique("tx"), timeout=TIMEOUT)
    writer.begin().append(record(topic, "left open"))

    writer.close()
    bus.publish([record(topic, "after")])

    assert committed(bus, topic) == ["after"]


def test_an_empty_transaction_commits(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)

    writer.begin().commit().result(20)
    _commit(writer, topic)

    assert committed(bus, topic) == ["v"]


def test_a_record_over_the_limit_leaves_nothing_of_its_transaction(
    bus: Bus, writer: Writer
) -> None:
    topic = make_topic(bus)
    transaction = writer.begin()
    transaction.append(record(topic, "before"))

    with pytest.raises(RecordTooLarge):
        transaction.append(record(topic, os.urandom(LIMIT_BYTES + 1)))
    transaction.abort()
    _commit(writer, topic, value="after")

    assert committed(bus, topic) == ["after"]


def test_a_transaction_holds_many_records_of_many_partitions(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus, 3)
    transaction = writer.begin()
    for n in range(1500):
        transaction.append(record(topic, f"v{n}", partition=n % 3))

    transaction.commit().result(20)

    for partition in range(3):
        assert committed(bus, topic, partition) == [f"v{n}" for n in range(partition, 1500, 3)]


# ── the end of a partition ───────────────────────────────────────────────────
@pytest.mark.parametrize("last", ["committed", "aborted"])
def test_the_end_of_a_transactional_topic_is_reached(bus: Bus, writer: Writer, last: str) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    _commit(writer, topic)
    transaction = writer.begin()
    transaction.append(record(topic, last))
    if last == "committed":
        transaction.commit().result(20)
    else:
        transaction.abort()
    ends: list[int] = []

    with closing(bus.reader({at: 0})) as reader:

        def at_the_end() -> bool:
            ends.extend(reader.poll(SHORT).ended.values())
            return bool(ends) and ends[-1] >= bus.high_watermark(at)

        eventually(at_the_end)

    assert committed(bus, topic) == (["v", last] if last == "committed" else ["v"])


def test_a_member_reaches_the_end_of_a_transactional_topic(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    _commit(writer, topic)

    member = Member(bus, unique("group"), [topic])
    until(lambda: member.ended.get(at, -1) >= bus.high_watermark(at), member)

    assert member.values() == ["v"]
    assert member.consumer.lag[at] == 0


def test_the_high_watermark_counts_open_transactions(
    backend: Backend, bus: Bus, writer: Writer
) -> None:
    if backend.kind == "sqlite":
        pytest.skip("the embedded bus has no open transactions in its log: they are buffered")
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    transaction = writer.begin()

    transaction.append(record(topic, "open"))

    eventually(lambda: bus.high_watermark(at) == 1)
    transaction.abort()


def test_a_commit_that_was_seen_to_succeed_is_read_at_once(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus, cleanup=Cleanup.COMPACT)

    for n in range(20):
        _commit(writer, topic, value=f"v{n}")
        assert committed(bus, topic)[-1] == f"v{n}"


def test_a_compacted_topic_restores_what_transactions_wrote(bus: Bus, writer: Writer) -> None:
    topic = make_topic(bus, cleanup=Cleanup.COMPACT)
    for n in range(5):
        transaction = writer.begin()
        for key in "ab":
            transaction.append(record(topic, f"{key}{n}", key=key))
        if n < 4:
            transaction.commit().result(20)
        else:
            transaction.abort()

    state = {entry.key: entry.value for entry in read_to_end(bus, TopicPartition(topic, 0))}

    assert state == {b"a": b"a3", b"b": b"b3"}


# ── records and consumed offsets ─────────────────────────────────────────────
def test_offsets_of_an_aborted_transaction_do_not_count(bus: Bus) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    bus.publish([record(topic, f"v{n}") for n in range(4)])
    first = Member(bus, group, [topic])
    until(lambda: len(first.records) == 4, first)
    write(first.owned[0], target, "first", {topic: 2})
    open_transaction(first.owned[0], target, "second").abort()
    first.consumer.close()

    second = Member(bus, group, [topic])
    until(lambda: len(second.records) == 2, second)

    assert second.values() == ["v2", "v3"]
    assert committed(bus, target) == ["first"]


def test_offsets_commit_without_records(bus: Bus) -> None:
    topic, group = make_topic(bus), unique("group")
    bus.publish([record(topic, f"v{n}") for n in range(4)])
    first = Member(bus, group, [topic])
    until(lambda: len(first.records) == 4, first)
    first.owned[0].acquire()
    first.owned[0].begin().commit({topic: 3}).result(20)
    first.consumer.close()

    second = Member(bus, group, [topic])
    until(lambda: second.records, second)

    assert second.values() == ["v3"]


def test_offsets_of_several_topics_commit_together(bus: Bus) -> None:
    topics, group = [make_topic(bus), make_topic(bus)], unique("group")
    bus.publish([record(topic, f"v{n}") for topic in topics for n in range(4)])
    first = Member(bus, group, topics)
    until(lambda: len(first.records) == 8, first)
    first.owned[0].acquire()
    first.owned[0].begin().commit({topics[0]: 1, topics[1]: 3}).result(20)
    first.consumer.close()

    second = Member(bus, group, topics)
    until(lambda: len(second.records) == 4, second)

    left = {topic: values([r for r in second.records if r.topic == topic]) for topic in topics}
    assert left == {topics[0]: ["v1", "v2", "v3"], topics[1]: ["v3"]}


def test_partitions_commit_side_by_side(bus: Bus) -> None:
    topic, target = make_topic(bus, 3), make_topic(bus, 3)
    member = Member(bus, unique("group"), [topic])
    until(owns(member, 0, 1, 2), member)
    for assignment in member.owned.values():
        assignment.acquire()

    for n in range(3):
        transactions = [assignment.begin() for assignment in member.owned.values()]
        for assignment, transaction in zip(member.owned.values(), transactions, strict=True):
            transaction.append(record(target, f"v{n}", partition=assignment.partition))
        futures = [transaction.commit({topic: 0}) for transaction in transactions]
        for future in futures:
            future.result(20)

    assert [committed(bus, target, p) for p in range(3)] == [["v0", "v1", "v2"]] * 3


def _poll(reader: Reader) -> list[Record]:
    return [entry for records in reader.poll(SHORT).records.values() for entry in records]
