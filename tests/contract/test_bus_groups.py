"""Consumer groups: who owns what, how it moves, and what an assignment can do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.errors import Fenced
from eventflow.model.log import TopicPartition
from tests.contract.buses import (
    LONG_SESSION,
    SESSION,
    SHORT,
    Backend,
    Member,
    make_topic,
    owns,
    record,
    unique,
    until,
    values,
    write,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Bus

    Connect = Callable[..., Bus]


# ── sharing ──────────────────────────────────────────────────────────────────
def test_a_lone_member_owns_every_partition(bus: Bus) -> None:
    member = Member(bus, unique("group"), [make_topic(bus, 3)])

    until(owns(member, 0, 1, 2), member)

    assert all(assignment.is_live for assignment in member.owned.values())


def test_two_members_share_and_never_own_the_same_at_once(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topic, group = make_topic(bus, 4), unique("group")
    first = Member(bus, group, [topic])
    until(owns(first, 0, 1, 2, 3), first)
    second = Member(other, group, [topic])
    doubly_owned: list[set[int]] = []

    def shared() -> bool:
        doubly_owned.append(_live(first) & _live(second))
        return len(first.owned) == len(second.owned) == 2

    until(shared, first, second)

    assert sorted([*first.owned, *second.owned]) == [0, 1, 2, 3]
    assert not any(doubly_owned)


def test_more_members_than_partitions_leave_some_idle(bus: Bus, connect: Connect) -> None:
    topic, group = make_topic(bus, 1), unique("group")
    members = [Member(connect(), group, [topic]) for _ in range(3)]

    until(lambda: sorted(len(m.owned) for m in members) == [0, 0, 1], *members)


def test_every_record_goes_to_exactly_one_member(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topic, group = make_topic(bus, 4), unique("group")
    first, second = Member(bus, group, [topic]), Member(other, group, [topic])
    until(lambda: len(first.owned) == len(second.owned) == 2, first, second)

    bus.publish([record(topic, f"v{n}", partition=n % 4) for n in range(40)])
    until(lambda: len(first.records) + len(second.records) >= 40, first, second)

    assert sorted(first.values() + second.values()) == sorted(f"v{n}" for n in range(40))
    assert first.records
    assert second.records


def test_groups_do_not_share_with_each_other(bus: Bus) -> None:
    topic = make_topic(bus, 2)
    first, second = Member(bus, unique("group"), [topic]), Member(bus, unique("group"), [topic])
    bus.publish([record(topic, "v")])

    until(lambda: first.values() == second.values() == ["v"], first, second)

    assert sorted(first.owned) == sorted(second.owned) == [0, 1]


def test_a_partition_is_owned_over_all_topics(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topics, group = [make_topic(bus, 2), make_topic(bus, 2)], unique("group")
    first, second = Member(bus, group, topics), Member(other, group, topics)
    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)

    bus.publish([record(topic, "v", partition=p) for topic in topics for p in (0, 1)])
    until(lambda: len(first.records) == len(second.records) == 2, first, second)

    for member in (first, second):
        assert {(r.topic, r.partition) for r in member.records} == {
            (topic, number) for topic in topics for number in member.owned
        }


# ── moving ───────────────────────────────────────────────────────────────────
def test_what_moves_is_reported_lost_and_is_dead(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topic, group = make_topic(bus, 2), unique("group")
    first = Member(bus, group, [topic])
    until(owns(first, 0, 1), first)
    before = dict(first.owned)

    second = Member(other, group, [topic])
    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)

    (moved,) = second.owned
    lost = before[moved]
    assert moved in [assignment.partition for assignment in first.lost]
    assert not lost.is_live
    for call in (
        lost.acquire,
        lost.begin,
        lambda: lost.seek(topic, 0),
        lambda: lost.pause(topic),
        lambda: lost.resume(topic),
    ):
        with pytest.raises(Fenced):
            call()


def test_the_partitions_of_a_member_that_leaves_move_at_once(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topic, group = make_topic(bus, 2), unique("group")
    first, second = Member(bus, group, [topic]), Member(other, group, [topic])
    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)
    (left,) = second.owned.values()

    second.consumer.close()
    until(owns(first, 0, 1), first)

    assert not left.is_live
    with pytest.raises(Fenced):
        left.begin()


def test_the_partitions_of_a_member_that_stops_polling_move(bus: Bus, connect: Connect) -> None:
    topic, group = make_topic(bus, 2), unique("group")
    first, second = Member(bus, group, [topic]), Member(connect(), group, [topic])
    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)

    until(owns(second, 0, 1), second)


def test_a_member_that_stopped_polling_comes_back_and_gets_its_share(
    bus: Bus, connect: Connect
) -> None:
    topic, group = make_topic(bus, 2), unique("group")
    first = Member(bus, group, [topic])
    until(owns(first, 0, 1), first)
    before = list(first.owned.values())
    second = Member(connect(), group, [topic])
    until(owns(second, 0, 1), second)

    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)

    assert not any(assignment.is_live for assignment in before)
    assert {a.partition for a in first.lost} == {0, 1}


def test_a_poll_longer_than_the_session_keeps_the_partitions(bus: Bus) -> None:
    topic = make_topic(bus, 2)
    member = Member(bus, unique("group"), [topic])
    until(lambda: len(member.ended) == 2, member)
    kept = list(member.owned.values())

    member.poll(timeout=SESSION * 2)
    member.poll()

    assert all(assignment.is_live for assignment in kept)
    assert member.lost == []


# ── positions ────────────────────────────────────────────────────────────────
def test_an_assignment_starts_paused(bus: Bus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, "v")])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)

    for _ in range(6):
        member.poll()
    while_paused = list(member.records)
    member.owned[0].resume(topic)
    until(lambda: member.records, member)

    assert while_paused == []
    assert member.values() == ["v"]


def test_a_group_reads_from_the_first_record_kept(bus: Bus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, f"v{n}") for n in range(3)])

    member = Member(bus, unique("group"), [topic])
    until(lambda: len(member.records) == 3, member)

    assert member.values() == ["v0", "v1", "v2"]


def test_the_next_owner_goes_on_at_the_committed_offset(bus: Bus) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    offsets = bus.publish([record(topic, f"v{n}") for n in range(4)])
    first = Member(bus, group, [topic])
    until(lambda: first.records, first)
    write(first.owned[0], target, "done", {topic: offsets[2].offset})
    first.consumer.close()

    second = Member(bus, group, [topic])
    until(lambda: len(second.records) == 2, second)

    assert second.values() == ["v2", "v3"]


def test_seek_reads_on_from_there_and_drops_what_was_fetched(bus: Bus) -> None:
    topic = make_topic(bus)
    offsets = bus.publish([record(topic, f"v{n}") for n in range(10)])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)
    assignment = member.owned[0]

    assignment.seek(topic, offsets[7].offset)
    assignment.resume(topic)
    until(lambda: len(member.records) == 3, member)
    assignment.seek(topic, offsets[1].offset)
    until(lambda: len(member.records) == 3 + 9, member)
    assignment.seek(topic, offsets[8].offset)
    until(lambda: len(member.records) == 3 + 9 + 2, member)

    expected = [*range(7, 10), *range(1, 10), *range(8, 10)]
    assert member.values() == [f"v{n}" for n in expected]


def test_seek_drops_what_a_limited_poll_left_behind(bus: Bus) -> None:
    topic = make_topic(bus)
    offsets = bus.publish([record(topic, f"v{n}") for n in range(10)])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)
    assignment = member.owned[0]

    assignment.resume(topic)
    first = eventually(lambda: _read(member, limit=2))
    assignment.seek(topic, offsets[9].offset)
    second = eventually(lambda: _read(member, limit=2))

    assert first == ["v0", "v1"][: len(first)]
    assert second == ["v9"]


def test_a_paused_topic_delivers_nothing_and_loses_nothing(bus: Bus) -> None:
    topics = [make_topic(bus), make_topic(bus)]
    member = Member(bus, unique("group"), topics)
    until(owns(member, 0), member)
    bus.publish([record(topic, "before") for topic in topics])
    until(lambda: len(member.records) == 2, member)

    member.owned[0].pause(topics[0])
    member.owned[0].pause(topics[0])
    bus.publish([record(topic, "while paused") for topic in topics])
    until(lambda: len(member.records) == 3, member)
    for _ in range(6):
        member.poll()
    while_paused = [(r.topic, r.value) for r in member.records[2:]]
    member.owned[0].resume(topics[0])
    member.owned[0].resume(topics[0])
    until(lambda: len(member.records) == 4, member)

    assert while_paused == [(topics[1], b"while paused")]
    assert (member.records[3].topic, member.records[3].value) == (topics[0], b"while paused")


def test_pausing_after_a_limited_poll_delivers_the_rest_after_resume(bus: Bus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, f"v{n}") for n in range(10)])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)
    assignment = member.owned[0]

    assignment.resume(topic)
    read = eventually(lambda: _read(member, limit=3))
    assignment.pause(topic)
    while_paused = [text for _ in range(3) for text in _read(member, limit=3)]
    assignment.resume(topic)
    while len(read) < 10:
        read += eventually(lambda: _read(member, limit=3))

    assert while_paused == []
    assert read == [f"v{n}" for n in range(10)]


def test_the_end_is_reported_when_everything_is_read(bus: Bus) -> None:
    topic = make_topic(bus, 2)
    bus.publish([record(topic, "v", partition=0)])
    member = Member(bus, unique("group"), [topic])

    until(lambda: len(member.ended) == 2, member)

    assert member.values() == ["v"]
    assert member.ended == {
        at: bus.high_watermark(at) for at in (TopicPartition(topic, 0), TopicPartition(topic, 1))
    }


def test_the_lag_is_what_is_left_to_read(bus: Bus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    bus.publish([record(topic, f"v{n}") for n in range(10)])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)

    member.owned[0].resume(topic)
    until(lambda: at in member.ended, member)
    read_all = member.consumer.lag[at]
    member.owned[0].pause(topic)
    bus.publish([record(topic, f"v{n}") for n in range(7)])
    member.owned[0].seek(topic, 4)
    member.owned[0].resume(topic)
    read = eventually(lambda: _read(member, limit=3))

    assert read_all == 0
    assert member.consumer.lag[at] == 17 - 4 - len(read)


def test_wake_ends_a_poll_from_another_thread(backend: Backend, bus: Bus) -> None:
    member = Member(bus, unique("group"), [make_topic(bus)])
    until(lambda: member.ended, member)

    with backend.later(timedelta(milliseconds=300), member.consumer.wake):
        poll = member.poll(timeout=LONG_SESSION)

    assert (poll.records, poll.lost, poll.assigned, poll.ended) == ({}, (), (), {})


def _read(member: Member, limit: int) -> list[str]:
    """The values that one poll brought."""
    brought = member.consumer.poll(SHORT, limit=limit).records.values()
    return [text for records in brought for text in values(records)]


def _live(member: Member) -> set[int]:
    return {number for number, assignment in member.owned.items() if assignment.is_live}
