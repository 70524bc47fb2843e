"""Fences: a former owner writes nothing, whatever it does and however late."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.errors import Fenced
from eventflow.model.log import TopicPartition
from tests.contract.buses import (
    LONG_SESSION,
    SESSION,
    Backend,
    Member,
    committed,
    make_topic,
    open_transaction,
    owns,
    record,
    unique,
    until,
    write,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Assignment, Bus, Transaction, Writer

    Connect = Callable[..., Bus]

TIMEOUT = timedelta(seconds=10)


# ── writers ──────────────────────────────────────────────────────────────────
def test_a_new_writer_fences_the_older_one(bus: Bus, connect: Connect) -> None:
    topic, name = make_topic(bus), unique("tx")
    older = bus.writer(name, timeout=TIMEOUT)
    newer = connect().writer(name, timeout=TIMEOUT)

    with pytest.raises(Fenced):
        _write(older, topic, "older")
    _write(newer, topic, "newer")

    assert committed(bus, topic) == ["newer"]


def test_a_new_writer_aborts_what_the_older_one_left_open(bus: Bus, connect: Connect) -> None:
    topic, name = make_topic(bus), unique("tx")
    older = bus.writer(name, timeout=TIMEOUT)
    left_open = older.begin()
    left_open.append(record(topic, "older"))

    newer = connect().writer(name, timeout=TIMEOUT)
    _write(newer, topic, "newer")
    visible = committed(bus, topic)
    with pytest.raises(Fenced):
        left_open.commit().result(20)

    assert visible == committed(bus, topic) == ["newer"]


def test_a_fenced_writer_stays_fenced(bus: Bus, connect: Connect) -> None:
    topic, name = make_topic(bus), unique("tx")
    older = bus.writer(name, timeout=TIMEOUT)
    newer = connect().writer(name, timeout=TIMEOUT)

    for _ in range(3):
        with pytest.raises(Fenced):
            _write(older, topic, "older")
    _write(newer, topic, "newer")

    assert committed(bus, topic) == ["newer"]


def test_writers_of_different_ids_do_not_meet(bus: Bus, connect: Connect) -> None:
    topic = make_topic(bus)
    first = bus.writer(unique("tx"), timeout=TIMEOUT)
    second = connect().writer(unique("tx"), timeout=TIMEOUT)

    _write(first, topic, "first")
    _write(second, topic, "second")
    _write(first, topic, "third")

    assert committed(bus, topic) == ["first", "second", "third"]


# ── orderly moves ────────────────────────────────────────────────────────────
def test_a_transaction_begun_before_the_partition_moved_is_refused(connect: Connect) -> None:
    bus, other = connect(LONG_SESSION), connect(LONG_SESSION)
    topic, target, group = make_topic(bus, 2), make_topic(bus, 2), unique("group")
    first = Member(bus, group, [topic])
    until(owns(first, 0, 1), first)
    begun = {n: open_transaction(a, target, "old") for n, a in first.owned.items()}

    second = Member(other, group, [topic])
    until(lambda: len(first.owned) == len(second.owned) == 1, first, second)
    (moved,) = second.owned
    with pytest.raises(Fenced):
        begun[moved].commit({topic: 1}).result(20)
    write(second.owned[moved], target, "new", {topic: 1})

    assert committed(bus, target, moved) == ["new"]


def test_a_transaction_of_a_member_that_left_is_refused(bus: Bus) -> None:
    topic, target = make_topic(bus), make_topic(bus)
    member = Member(bus, unique("group"), [topic])
    until(owns(member, 0), member)
    begun = open_transaction(member.owned[0], target, "old")

    member.consumer.close()
    with pytest.raises(Fenced):
        begun.commit({topic: 1}).result(20)
    bus.publish([record(target, "after")])

    assert committed(bus, target) == ["after"]


# ── zombies ──────────────────────────────────────────────────────────────────
class Stall:
    """A member that owned everything and opened a transaction, then did not poll; its successor
    owns everything now, and has committed."""

    def __init__(self, bus: Bus, other: Bus, partitions: int = 2) -> None:
        self.topic, self.target = make_topic(bus, partitions), make_topic(bus, partitions)
        group = unique("group")
        everything = tuple(range(partitions))
        bus.publish([record(self.topic, "v", partition=n) for n in everything])
        self.zombie = Member(bus, group, [self.topic])
        until(owns(self.zombie, *everything), self.zombie)
        self.old: dict[int, Assignment] = dict(self.zombie.owned)
        self.batches: dict[int, Transaction] = {
            n: open_transaction(a, self.target, "of the zombie") for n, a in self.old.items()
        }
        self.successor = Member(other, group, [self.topic])
        until(owns(self.successor, *everything), self.successor)
        for assignment in self.successor.owned.values():
            write(assignment, self.target, "of the successor", {self.topic: 1})

    def visible(self, bus: Bus) -> list[list[str]]:
        """The output of every partition."""
        return [committed(bus, self.target, number) for number in sorted(self.old)]


@pytest.fixture
def stall(bus: Bus, connect: Connect) -> Stall:
    return Stall(bus, connect())


def test_a_zombie_that_continues_at_once_is_refused(bus: Bus, stall: Stall) -> None:
    for batch in stall.batches.values():
        with pytest.raises(Fenced):
            batch.commit({stall.topic: 1}).result(20)

    assert stall.visible(bus) == [["of the successor"]] * 2


def test_a_zombie_that_polls_until_it_has_rejoined_is_refused(bus: Bus, stall: Stall) -> None:
    until(
        lambda: len(stall.zombie.owned) == len(stall.successor.owned) == 1,
        stall.zombie,
        stall.successor,
    )

    for number, batch in stall.batches.items():
        with pytest.raises(Fenced):
            batch.commit({stall.topic: 1}).result(20)
        with pytest.raises(Fenced):
            stall.old[number].begin()
        with pytest.raises(Fenced):
            stall.old[number].acquire()

    assert stall.visible(bus) == [["of the successor"]] * 2


def test_a_zombie_that_owns_the_same_partition_again_is_refused(bus: Bus, stall: Stall) -> None:
    stall.successor.consumer.close()
    until(owns(stall.zombie, 0, 1), stall.zombie)
    assert all(stall.zombie.owned[n] is not stall.old[n] for n in (0, 1))

    for number, batch in stall.batches.items():
        with pytest.raises(Fenced):
            batch.commit({stall.topic: 1}).result(20)
        with pytest.raises(Fenced):
            stall.old[number].begin()
    write(stall.zombie.owned[0], stall.target, "of the new owner", {stall.topic: 1})

    assert stall.visible(bus) == [["of the successor", "of the new owner"], ["of the successor"]]


def test_a_zombie_that_takes_its_id_over_again_is_refused(bus: Bus, stall: Stall) -> None:
    for assignment in stall.old.values():
        with pytest.raises(Fenced):
            write(assignment, stall.target, "of the zombie", {stall.topic: 1})

    def successor_goes_on() -> bool:
        stall.successor.poll()
        for assignment in stall.successor.owned.values():
            write(assignment, stall.target, "next", {stall.topic: 1})
        return len(stall.successor.owned) == 2

    eventually(successor_goes_on)
    assert all(
        texts[0] == "of the successor" and set(texts[1:]) == {"next"}
        for texts in stall.visible(bus)
    )


def test_a_member_that_stalled_alone_has_lost_its_partitions_too(
    bus: Bus, connect: Connect
) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    member = Member(bus, group, [topic])
    until(owns(member, 0), member)
    old = member.owned[0]
    batch = open_transaction(old, target, "of the zombie")
    bystander = Member(connect(), unique("group"), [topic])
    until(lambda: bystander.ended, bystander)

    bystander.poll(timeout=SESSION * 2)  # the time passes
    until(lambda: 0 in member.owned and member.owned[0] is not old, member)
    with pytest.raises(Fenced):
        batch.commit({topic: 1}).result(20)
    write(member.owned[0], target, "of the new owner", {topic: 1})

    assert committed(bus, target) == ["of the new owner"]


# ── the dead ─────────────────────────────────────────────────────────────────
def test_the_partitions_of_a_killed_process_move_and_its_transaction_delays_nobody(
    bus: Bus, backend: Backend
) -> None:
    if backend.kind == "simulated":
        pytest.skip("no other process can join it: tests/simulation/test_simulated_bus.py")
    topic, target, group = make_topic(bus, 2), make_topic(bus, 2), unique("group")
    bus.publish([record(topic, "v", partition=n) for n in (0, 1)])
    arguments = [backend.to_json(), group, topic, target]
    child = [sys.executable, "-m", "tests.contract.bus_child", *arguments]
    successor = Member(bus, group, [topic])

    with subprocess.Popen(child, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            if backend.kind == "kafka":
                eventually(lambda: bus.high_watermark(TopicPartition(target, 0)) == 1)
        finally:
            process.kill()

    def successor_takes_over() -> bool:
        # What it was assigned before the child joined it hears of only now, and is fenced.
        until(owns(successor, 0, 1), successor)
        write(successor.owned[0], target, "of the successor", {topic: 1})
        return True

    eventually(successor_takes_over)

    # The dead transaction would time out after a minute only; the test fails before.
    with closing(bus.reader({TopicPartition(target, 0): 0})) as reader:
        seen = eventually(lambda: reader.poll(SESSION).records)
    assert [r.value for records in seen.values() for r in records] == [b"of the successor"]


def _write(writer: Writer, topic: str, value: str) -> None:
    transaction = writer.begin()
    transaction.append(record(topic, value))
    transaction.commit().result(20)
