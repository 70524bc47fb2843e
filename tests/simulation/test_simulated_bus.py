"""The simulated bus does what Kafka does when things go wrong; the rest is the contract suite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.errors import BusBusy, BusUnreachable, Fenced
from eventflow.model.log import TopicPartition
from tests.simulation.bus_rig import (
    PATIENCE,
    POLL,
    SECOND,
    Rig,
    member_of,
    opened,
    owned_by,
    record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Assignment, Transaction
    from tests.simulation.simulated_bus import SimulatedBus


# ── the dead and the stopped ─────────────────────────────────────────────────
def test_the_partitions_of_a_killed_process_move_and_its_transaction_delays_nobody() -> None:
    rig = Rig.quiet()
    has_begun: list[Transaction] = []

    def work(bus: SimulatedBus) -> None:
        member = member_of(bus)
        has_begun.append(opened(owned_by(member)[0], "of the dead"))
        while True:
            member.poll(POLL)

    process = rig.spawn(work)
    rig.until(lambda: has_begun and rig.outside.high_watermark(TopicPartition("out", 0)) == 1)
    rig.universe.kill(process)
    killed_at = rig.universe.time
    member = member_of(rig.outside)
    owned = owned_by(member)
    moved_after = rig.universe.time - killed_at
    opened(owned[0], "of the successor").commit({"in": 1}).result(20)

    assert rig.values("out") == ["of the successor"]
    assert SECOND * 3 < moved_after < SECOND * 9  # a session after the last heartbeat
    assert rig.universe.time - killed_at - moved_after < SECOND


def test_a_process_stopped_past_its_session_is_a_zombie_whose_commit_is_refused() -> None:
    rig = Rig.quiet()
    has_begun: list[Transaction] = []
    refused: list[Fenced] = []

    def work(bus: SimulatedBus) -> None:
        begun = opened(owned_by(member_of(bus))[0], "of the zombie")
        has_begun.append(begun)
        rig.universe.wait(SECOND, lambda: False)
        try:
            begun.commit({"in": 1}).result()
        except Fenced as error:
            refused.append(error)

    process = rig.spawn(work)
    rig.until(lambda: has_begun)
    rig.universe.stop(process, SECOND * 30)
    owned = owned_by(member_of(rig.outside))
    opened(owned[0], "of the successor").commit({"in": 1}).result(20)
    rig.until(lambda: refused)

    assert rig.values("out") == ["of the successor"]


def test_a_process_stopped_for_less_than_its_session_keeps_its_partitions() -> None:
    rig = Rig.quiet()
    lost: list[Assignment] = []
    owned: dict[int, Assignment] = {}

    def work(bus: SimulatedBus) -> None:
        member = member_of(bus)
        owned.update(owned_by(member))
        while True:
            lost.extend(member.poll(POLL).lost)

    process = rig.spawn(work)
    rig.until(lambda: owned)
    rig.universe.stop(process, SECOND * 3)
    rig.run(SECOND * 20)

    assert lost == []
    assert rig.cluster.group("group").generation == 1


def test_the_generation_alone_refuses_a_zombie_that_took_its_id_over_again() -> None:
    rig = Rig.quiet()
    member = member_of(rig.outside)
    old = owned_by(member)[0]
    rig.cluster.group("group").leave(old.fence.member_id)  # type: ignore[attr-defined]
    new = owned_by(member_of(rig.connect()))

    begun = opened(old, "of the zombie")  # its epoch is the latest one
    with pytest.raises(Fenced):
        begun.commit({"in": 1}).result(20)
    opened(new[0], "of the successor").commit({"in": 1}).result(20)

    assert rig.values("out") == ["of the successor"]


def test_a_transaction_that_nobody_takes_over_ends_by_its_timeout() -> None:
    rig = Rig.quiet()
    writer = rig.outside.writer("tx", timeout=PATIENCE)
    begun = writer.begin()
    begun.append(record("out", "left open"))
    at = TopicPartition("out", 0)
    rig.until(lambda: rig.cluster.log(at).high == 1)
    rig.outside.publish([record("out", "behind it")])

    hidden = rig.outside.reader({at: 0}).poll(SECOND * 5).records
    seen = rig.values("out")
    with pytest.raises(Fenced):
        begun.commit().result(20)

    assert hidden == {}
    assert seen == ["behind it"]
    assert rig.cluster.transactions.aborted == 1


# ── watermarks ───────────────────────────────────────────────────────────────
def test_a_late_marker_keeps_readers_below_the_high_watermark_of_that_partition_only() -> None:
    rig = Rig.quiet(("marker.late", 1))
    writer = rig.outside.writer("tx", timeout=PATIENCE)
    begun = writer.begin()
    begun.append(record("out", "first", 0))
    begun.append(record("out", "second", 1))

    begun.commit().result(20)
    rig.run(timedelta(milliseconds=10))
    logs = [rig.cluster.log(TopicPartition("out", number)) for number in (0, 1)]
    ends = [(log.stable, log.high) for log in logs]

    assert ends == [(0, 1), (2, 2)]
    assert rig.values("out", 0) == ["first"]
    assert rig.values("out", 1) == ["second"]


def test_an_id_is_taken_over_after_the_late_markers_of_its_last_transaction() -> None:
    rig = Rig.quiet(("marker.late", 1))
    begun = rig.outside.writer("tx", timeout=PATIENCE).begin()
    begun.append(record("out", "committed"))
    begun.commit().result(20)
    log = rig.cluster.log(TopicPartition("out", 0))
    was_open = log.stable < log.high

    rig.connect().writer("tx", timeout=PATIENCE)

    assert was_open
    assert log.stable == log.high == 2


def test_a_replica_that_is_behind_ends_before_the_high_watermark() -> None:
    rig = Rig.quiet(("replica.late", 1))
    begun = rig.outside.writer("tx", timeout=PATIENCE).begin()
    begun.append(record("out", "committed"))
    begun.commit().result(20)
    at = TopicPartition("out", 0)

    rig.connect().writer("tx", timeout=PATIENCE)
    first = rig.outside.reader({at: 0}).poll(SECOND).ended

    assert first == {at: 0}
    assert rig.outside.high_watermark(at) == 2
    assert rig.values("out") == ["committed"]


def test_what_compaction_removed_is_kept_for_the_checker() -> None:
    rig = Rig.quiet()
    for number in range(5):
        rig.outside.publish([record("state", f"v{number}")])

    rig.cluster.log(TopicPartition("state", 0)).clean()

    assert rig.values("state") == ["v4"]
    assert [r.value for r in rig.cluster.committed()["state"]] == [b"v%d" % n for n in range(5)]


def test_what_retention_deleted_is_below_the_low_watermark() -> None:
    rig, at = Rig.quiet(), TopicPartition("in", 0)
    for number in range(5):
        rig.outside.publish([record("in", f"v{number}")])

    rig.cluster.log(at).delete_before(3)

    assert rig.outside.low_watermark(at) == 3
    assert rig.values("in") == ["v3", "v4"]
    assert rig.outside.offset_at(at, rig.universe.now - SECOND) == 3


# ── answers ──────────────────────────────────────────────────────────────────
def _lives(rig: Rig, work: Callable[[SimulatedBus], object]) -> None:
    """A process that does something, to its end."""
    rig.spawn(work)
    rig.until(lambda: rig.died_of)


def test_a_publish_without_an_answer_took_place_once() -> None:
    rig = Rig.quiet(("bus.answer-lost", 1))

    _lives(rig, lambda bus: bus.publish([record("in", "v")]))

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert rig.values("in") == ["v"]


def test_a_publish_that_was_refused_did_not_take_place() -> None:
    rig = Rig.quiet(("bus.refused", 1))

    _lives(rig, lambda bus: bus.publish([record("in", "v")]))

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert rig.values("in") == []


def _writes(bus: SimulatedBus) -> None:
    begun = bus.writer("tx", timeout=PATIENCE).begin()
    begun.append(record("out", "v"))
    begun.commit().result()


def test_a_commit_without_an_answer_is_visible() -> None:
    rig = Rig.quiet(("bus.answer-lost", 2))  # the first one is of the take-over

    _lives(rig, _writes)

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert rig.values("out") == ["v"]


def test_a_commit_that_was_refused_is_invisible() -> None:
    rig = Rig.quiet(("bus.refused", 2))  # the first one is of the take-over

    _lives(rig, _writes)
    rig.connect().writer("tx", timeout=PATIENCE)

    assert isinstance(rig.died_of[0], BusBusy | BusUnreachable)
    assert rig.values("out") == []


def test_commits_of_several_partitions_are_in_flight_together() -> None:
    rig = Rig.quiet()
    owned = owned_by(member_of(rig.outside))
    begun = [opened(assignment, "v") for assignment in owned.values()]

    futures = [each.commit({"in": 1}) for each in begun]
    is_done_at_first = [each.done() for each in futures]
    futures[-1].result()
    rig.run(timedelta(milliseconds=50))

    assert is_done_at_first == [False, False]
    assert all(each.done() for each in futures)


# ── outages ──────────────────────────────────────────────────────────────────
def test_a_short_outage_delays_a_publish() -> None:
    rig = Rig.quiet()
    rig.cluster.outage.begin(SECOND * 5)
    begun = rig.universe.time

    _lives(rig, lambda bus: bus.publish([record("in", "v")]))

    assert rig.died_of == [None]
    assert rig.universe.time - begun >= SECOND * 5
    assert rig.values("in") == ["v"]


def test_a_long_outage_refuses_a_publish_and_leaves_a_commit_unknown() -> None:
    rig = Rig.quiet()
    begun = rig.outside.writer("tx", timeout=PATIENCE).begin()
    begun.append(record("out", "v"))
    rig.run(SECOND)
    rig.cluster.outage.begin(SECOND * 30)

    committing = begun.commit()
    _lives(rig, lambda bus: bus.publish([record("in", "v")]))
    committed = committing.exception()
    rig.run(SECOND * 30)

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert isinstance(committed, BusUnreachable)
    assert rig.values("in") == []


@pytest.mark.parametrize(("seconds", "is_kept"), [(3, True), (20, False)])
def test_a_member_that_hears_nothing_for_a_session_takes_itself_to_be_out(
    seconds: int, *, is_kept: bool
) -> None:
    rig = Rig.quiet()
    lost: list[Assignment] = []
    owned: dict[int, Assignment] = {}
    again: list[Assignment] = []
    lost_at: list[timedelta] = []

    def work(bus: SimulatedBus) -> None:
        member = member_of(bus)
        owned.update(owned_by(member))
        while True:
            news = member.poll(POLL)
            lost.extend(news.lost)
            lost_at.extend(rig.universe.time for _ in news.lost)
            again.extend(news.assigned)

    rig.spawn(work)
    rig.until(lambda: owned)
    begun = rig.universe.time
    rig.cluster.outage.begin(SECOND * seconds)
    rig.run(SECOND * 60)

    assert [each.partition for each in lost] == ([] if is_kept else [0, 1])
    assert [each.partition for each in again] == ([] if is_kept else [0, 1])
    assert all(SECOND * 4 < at - begun < SECOND * 9 for at in lost_at)
