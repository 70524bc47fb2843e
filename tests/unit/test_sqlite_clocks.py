"""The clocks of the embedded bus: append times, sessions, and owners that lost track of time."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.bus.sqlite import SqliteBus
from eventflow.effects import Effects
from eventflow.errors import Fenced
from eventflow.model.log import Cleanup, NewRecord, Record, TopicPartition, TopicSpec
from tests.support.hand_clock import HandClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventflow.bus.port import Consumer

LOG = TopicSpec("log", 1, Cleanup.DELETE, None, 1_000_000)
NOW = timedelta()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus(tmp_path: Path, clock: HandClock) -> Iterator[SqliteBus]:
    with closing(SqliteBus(tmp_path, effects=Effects(clock=clock))) as bus:
        bus.ensure([LOG], create=True)
        yield bus


@pytest.fixture
def member(bus: SqliteBus) -> Consumer:
    return bus.consumer("group", ["log"], transactional_id="tx")


def _publish(bus: SqliteBus) -> None:
    bus.publish([NewRecord("log", b"k", b"v")])


def _read(bus: SqliteBus) -> list[Record]:
    return list(read_to_end(bus, TopicPartition("log", 0)))


def test_the_append_time_stands_still_when_the_wall_clock_jumps_back(
    bus: SqliteBus, clock: HandClock
) -> None:
    _publish(bus)
    clock.wall -= timedelta(hours=3)
    _publish(bus)
    clock.wall += timedelta(hours=4)
    _publish(bus)

    times = [record.appended_at for record in _read(bus)]

    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert times == [start, start, start + timedelta(hours=1)]


def test_a_session_is_measured_by_the_clock_that_does_not_jump(
    bus: SqliteBus, member: Consumer, clock: HandClock
) -> None:
    (assignment,) = member.poll(NOW).assigned
    clock.wall += timedelta(days=1)
    after_a_jump = assignment.is_live, member.poll(NOW).lost

    clock.boot += timedelta(seconds=7)
    after_a_pause = assignment.is_live, member.poll(NOW).lost

    assert after_a_jump == (True, ())
    assert after_a_pause == (False, (assignment,))


def test_an_owner_whose_clock_stood_still_is_fenced_by_the_claim(
    bus: SqliteBus, member: Consumer, tmp_path: Path
) -> None:
    """As a process that is stopped after it looked at its clock, and before it writes."""
    (old,) = member.poll(NOW).assigned
    old.acquire()
    transaction = old.begin()
    transaction.append(NewRecord("log", b"k", b"of the zombie"))
    later = HandClock(boot=timedelta(hours=2))
    with closing(SqliteBus(tmp_path, effects=Effects(clock=later))) as other:
        successor = other.consumer("group", ["log"], transactional_id="tx")
        (new,) = successor.poll(NOW).assigned
        thought_it_was_live = old.is_live

        with pytest.raises(Fenced):
            transaction.commit({"log": 1}).result()
        with pytest.raises(Fenced):
            old.acquire()
        new.acquire()
        new.begin().commit({"log": 0}).result()

    assert thought_it_was_live
    assert not old.is_live
    assert _read(bus) == []


def test_a_transaction_begun_before_another_owner_of_its_id_is_fenced_by_the_epoch(
    bus: SqliteBus, member: Consumer
) -> None:
    (owner,) = member.poll(NOW).assigned
    owner.acquire()
    transaction = owner.begin()
    transaction.append(NewRecord("log", b"k", b"of the first epoch"))

    owner.acquire()
    with pytest.raises(Fenced):
        transaction.commit().result()
    owner.begin().commit({"log": 0}).result()

    assert _read(bus) == []
