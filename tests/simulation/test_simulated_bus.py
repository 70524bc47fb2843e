"""The simulated bus does what Kafka does when things go wrong; the rest is the contract suite."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.errors import BusBusy, BusUnreachable, Fenced, Retriable
from eventflow.model.log import Cleanup, NewRecord, TopicPartition, TopicSpec
from tests.simulation.simulated_bus import SimulatedBus
from tests.simulation.simulated_cluster import Cluster
from tests.simulation.simulated_transactions import Held, TransactionCoordinator, _Id
from tests.simulation.universe import Process, Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Assignment, Consumer, Transaction
    from tests.simulation.happenings import Happening

SECOND = timedelta(seconds=1)
POLL = timedelta(milliseconds=200)
PATIENCE = timedelta(seconds=10)
RATES = {
    "process.dies": 0.004,
    "process.stops": 0.004,
    "answer.slow": 0.02,
    "bus.answer-lost": 0.05,
    "bus.refused": 0.05,
    "group.rebalances": 0.05,
    "group.expels": 0.05,
    "marker.late": 0.2,
    "replica.late": 0.2,
}


@dataclass
class Rig:
    """A universe with brokers, and topics `in`, `out` and `state` of two partitions."""

    universe: Universe
    cluster: Cluster = field(init=False)
    outside: SimulatedBus = field(init=False)
    died_of: list[BaseException | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.universe)
        self.outside = self.connect()
        day = timedelta(days=1)
        self.outside.ensure(
            [
                TopicSpec("in", 2, Cleanup.DELETE, day, 10_000),
                TopicSpec("out", 2, Cleanup.DELETE, day, 10_000),
                TopicSpec("state", 2, Cleanup.COMPACT, None, 10_000),
            ],
            create=True,
        )

    @classmethod
    def quiet(cls, *told: Happening) -> Rig:
        """Nothing goes wrong but what is told."""
        return cls(Universe.by(1, {}, frozenset(told)))

    def connect(self) -> SimulatedBus:
        """The bus of the process that asks for it."""
        return SimulatedBus(self.universe, self.cluster)

    def spawn(self, main: Callable[[SimulatedBus], object]) -> Process:
        """A process with a bus of its own."""

        def live(_process: Process) -> None:
            main(self.connect())

        return self.universe.spawn("p", live, lambda _, error: self.died_of.append(error))

    def run(self, duration: timedelta) -> None:
        """Let time pass."""
        self.universe.run(lambda: False, self.universe.time + duration)

    def until(self, condition: Callable[[], object], within: timedelta = SECOND * 60) -> None:
        """Let time pass until it is so."""
        assert self.universe.run(lambda: bool(condition()), self.universe.time + within)

    def values(self, topic: str, partition: int = 0) -> list[str]:
        """What a reader finds."""
        read = read_to_end(self.outside, TopicPartition(topic, partition))
        return [(record.value or b"").decode() for record in read]


def _record(topic: str, value: str, partition: int = 0, key: str = "k") -> NewRecord:
    return NewRecord(topic, key.encode(), value.encode(), partition=partition)


def _owned(consumer: Consumer, count: int = 2) -> dict[int, Assignment]:
    """The assignments of a lone member, once it has them."""
    owned: dict[int, Assignment] = {}
    while len(owned) < count:
        owned |= {each.partition: each for each in consumer.poll(POLL).assigned}
    return owned


def _member(bus: SimulatedBus) -> Consumer:
    return bus.consumer("group", ["in"], transactional_id="tx")


def _open(assignment: Assignment, value: str) -> Transaction:
    assignment.acquire()
    transaction = assignment.begin()
    transaction.append(_record("out", value, assignment.partition))
    return transaction


# ── the dead and the stopped ─────────────────────────────────────────────────
def test_the_partitions_of_a_killed_process_move_and_its_transaction_delays_nobody() -> None:
    rig = Rig.quiet()
    has_begun: list[Transaction] = []

    def work(bus: SimulatedBus) -> None:
        member = _member(bus)
        has_begun.append(_open(_owned(member)[0], "of the dead"))
        while True:
            member.poll(POLL)

    process = rig.spawn(work)
    rig.until(lambda: has_begun and rig.outside.high_watermark(TopicPartition("out", 0)) == 1)
    rig.universe.kill(process)
    killed_at = rig.universe.time
    member = _member(rig.outside)
    owned = _owned(member)
    moved_after = rig.universe.time - killed_at
    _open(owned[0], "of the successor").commit({"in": 1}).result(20)

    assert rig.values("out") == ["of the successor"]
    assert SECOND * 3 < moved_after < SECOND * 9  # a session after the last heartbeat
    assert rig.universe.time - killed_at - moved_after < SECOND


def test_a_process_stopped_past_its_session_is_a_zombie_whose_commit_is_refused() -> None:
    rig = Rig.quiet()
    has_begun: list[Transaction] = []
    refused: list[Fenced] = []

    def work(bus: SimulatedBus) -> None:
        begun = _open(_owned(_member(bus))[0], "of the zombie")
        has_begun.append(begun)
        rig.universe.wait(SECOND, lambda: False)
        try:
            begun.commit({"in": 1}).result()
        except Fenced as error:
            refused.append(error)

    process = rig.spawn(work)
    rig.until(lambda: has_begun)
    rig.universe.stop(process, SECOND * 30)
    owned = _owned(_member(rig.outside))
    _open(owned[0], "of the successor").commit({"in": 1}).result(20)
    rig.until(lambda: refused)

    assert rig.values("out") == ["of the successor"]


def test_a_process_stopped_for_less_than_its_session_keeps_its_partitions() -> None:
    rig = Rig.quiet()
    lost: list[Assignment] = []
    owned: dict[int, Assignment] = {}

    def work(bus: SimulatedBus) -> None:
        member = _member(bus)
        owned.update(_owned(member))
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
    member = _member(rig.outside)
    old = _owned(member)[0]
    rig.cluster.group("group").leave(old.fence.member_id)  # type: ignore[attr-defined]
    new = _owned(_member(rig.connect()))

    begun = _open(old, "of the zombie")  # its epoch is the latest one
    with pytest.raises(Fenced):
        begun.commit({"in": 1}).result(20)
    _open(new[0], "of the successor").commit({"in": 1}).result(20)

    assert rig.values("out") == ["of the successor"]


def test_a_transaction_that_nobody_takes_over_ends_by_its_timeout() -> None:
    rig = Rig.quiet()
    writer = rig.outside.writer("tx", timeout=PATIENCE)
    begun = writer.begin()
    begun.append(_record("out", "left open"))
    at = TopicPartition("out", 0)
    rig.until(lambda: rig.cluster.log(at).high == 1)
    rig.outside.publish([_record("out", "behind it")])

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
    begun.append(_record("out", "first", 0))
    begun.append(_record("out", "second", 1))

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
    begun.append(_record("out", "committed"))
    begun.commit().result(20)
    log = rig.cluster.log(TopicPartition("out", 0))
    was_open = log.stable < log.high

    rig.connect().writer("tx", timeout=PATIENCE)

    assert was_open
    assert log.stable == log.high == 2


def test_a_replica_that_is_behind_ends_before_the_high_watermark() -> None:
    rig = Rig.quiet(("replica.late", 1))
    begun = rig.outside.writer("tx", timeout=PATIENCE).begin()
    begun.append(_record("out", "committed"))
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
        rig.outside.publish([_record("state", f"v{number}")])

    rig.cluster.log(TopicPartition("state", 0)).clean()

    assert rig.values("state") == ["v4"]
    assert [r.value for r in rig.cluster.committed()["state"]] == [b"v%d" % n for n in range(5)]


def test_what_retention_deleted_is_below_the_low_watermark() -> None:
    rig, at = Rig.quiet(), TopicPartition("in", 0)
    for number in range(5):
        rig.outside.publish([_record("in", f"v{number}")])

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

    _lives(rig, lambda bus: bus.publish([_record("in", "v")]))

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert rig.values("in") == ["v"]


def test_a_publish_that_was_refused_did_not_take_place() -> None:
    rig = Rig.quiet(("bus.refused", 1))

    _lives(rig, lambda bus: bus.publish([_record("in", "v")]))

    assert isinstance(rig.died_of[0], BusUnreachable)
    assert rig.values("in") == []


def _writes(bus: SimulatedBus) -> None:
    begun = bus.writer("tx", timeout=PATIENCE).begin()
    begun.append(_record("out", "v"))
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
    owned = _owned(_member(rig.outside))
    begun = [_open(assignment, "v") for assignment in owned.values()]

    futures = [each.commit({"in": 1}) for each in begun]
    is_done_at_first = [each.done() for each in futures]
    futures[-1].result()
    rig.run(timedelta(milliseconds=50))

    assert is_done_at_first == [False, False]
    assert all(each.done() for each in futures)


# ── whatever goes wrong ──────────────────────────────────────────────────────
def _calm(rig: Rig) -> None:
    """Nothing goes wrong any more, and what hangs has ended."""
    rig.universe.happenings.is_over = True
    for process in rig.universe.processes.values():
        rig.universe.kill(process)
    rig.run(SECOND * 60)


@pytest.mark.parametrize("seed", range(40))
def test_a_transaction_is_seen_whole_or_not_at_all_and_as_it_was_told(seed: int) -> None:
    rig, told = Rig(Universe.by(seed, RATES, None)), dict[str, str]()

    def work(bus: SimulatedBus) -> None:
        for number in range(20):
            value = f"{seed}-{number}"
            told[value] = "unknown"
            try:
                begun = bus.writer("tx", timeout=PATIENCE).begin()
                for topic, partition in (("out", 0), ("out", 1), ("state", 0)):
                    begun.append(_record(topic, value, partition))
                begun.commit().result()
                told[value] = "seen"
            except Retriable:
                told[value] = "unseen"
            except BusUnreachable:
                pass

    rig.spawn(work)
    rig.run(SECOND * 600)
    _calm(rig)

    seen = [rig.values("out", 0), rig.values("out", 1), rig.values("state", 0)]
    assert seen[0] == seen[1] == seen[2]
    assert not [value for value, how in told.items() if how == "seen" and value not in seen[0]]
    assert not [value for value, how in told.items() if how == "unseen" and value in seen[0]]


def _copies(bus: SimulatedBus) -> None:
    """From `in` to `out`, each record once: consumed offsets in the transaction of the output."""
    member = _member(bus)
    owned: dict[int, Assignment] = {}
    while True:
        try:
            poll = member.poll(POLL, limit=3)
            for assignment in poll.lost:
                owned.pop(assignment.partition, None)
            for assignment in poll.assigned:
                owned[assignment.partition] = assignment
                assignment.acquire()
                assignment.resume("in")
            for at, records in poll.records.items():
                begun = owned[at.partition].begin()
                for record in records:
                    begun.append(_record("out", (record.value or b"").decode(), at.partition))
                begun.commit({"in": records[-1].offset + 1}).result()
        except (Retriable, BusUnreachable):
            member.close()  # the simplest way back to what is committed
            member, owned = _member(bus), {}


def _is_copied_once(seed: int) -> bool:
    """Whether two copiers that die, stop and come back copy each record once."""
    rig = Rig(Universe.by(seed, RATES, None))
    values = [f"{seed}-{number}" for number in range(30)]
    for number, value in enumerate(values):
        rig.outside.publish([_record("in", value, number % 2)])

    def again(_process: Process, _error: BaseException | None) -> None:
        rig.universe.later(SECOND, start)

    def start() -> None:
        rig.universe.spawn("copier", lambda _: _copies(rig.connect()), again)

    for _ in range(2):
        start()
    rig.run(SECOND * 60)
    rig.universe.happenings.is_over = True
    rig.run(SECOND * 120)
    return all(Counter(rig.values("out", n)) == Counter(values[n::2]) for n in (0, 1))


@pytest.mark.parametrize("seed", range(40))
def test_a_copier_that_commits_offsets_with_its_output_copies_exactly_once(seed: int) -> None:
    assert _is_copied_once(seed)


def test_without_epochs_a_copier_copies_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransactionCoordinator, "init", _init_without_epoch)

    assert not all(_is_copied_once(seed) for seed in range(40))


def _init_without_epoch(
    self: TransactionCoordinator, name: str, timeout: timedelta, writer: int
) -> Held:
    """Nobody is fenced, and nothing is ended."""
    known = self._ids.setdefault(name, _Id(epoch=1))
    known.timeout = timeout
    return Held(name, known.epoch, writer)
