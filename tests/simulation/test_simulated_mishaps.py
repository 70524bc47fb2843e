"""Whatever goes wrong, the simulated bus keeps what Kafka promises, and no more than that."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from eventflow.errors import BusUnreachable, Retriable
from tests.simulation.bus_rig import PATIENCE, POLL, SECOND, Rig, member_of, record
from tests.simulation.simulated_transactions import Held, TransactionCoordinator, _Id
from tests.simulation.universe import Process, Universe

if TYPE_CHECKING:
    from datetime import timedelta

    from eventflow.bus.port import Assignment
    from tests.simulation.simulated_bus import SimulatedBus

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
    "fetch.short": 0.2,
}


def _calm(rig: Rig) -> None:
    """Nothing goes wrong any more, and what hangs has ended."""
    rig.universe.happenings.is_over = True
    for process in rig.universe.processes.values():
        rig.universe.kill(process)
    rig.run(SECOND * 60)


@pytest.mark.parametrize("seed", range(20))
def test_a_transaction_is_seen_whole_or_not_at_all_and_as_it_was_told(seed: int) -> None:
    rig, told = Rig(Universe.by(seed, RATES, None)), dict[str, str]()

    def work(bus: SimulatedBus) -> None:
        for number in range(20):
            value = f"{seed}-{number}"
            told[value] = "unknown"
            try:
                begun = bus.writer("tx", timeout=PATIENCE).begin()
                for topic, partition in (("out", 0), ("out", 1), ("state", 0)):
                    begun.append(record(topic, value, partition))
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
    member = member_of(bus)
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
                for each in records:
                    begun.append(record("out", (each.value or b"").decode(), at.partition))
                begun.commit({"in": records[-1].offset + 1}).result()
        except (Retriable, BusUnreachable):
            member.close()  # the simplest way back to what is committed
            member, owned = member_of(bus), {}


def _is_copied_once(seed: int) -> bool:
    """Whether two copiers that die, stop and come back copy each record once."""
    rig = Rig(Universe.by(seed, RATES, None))
    values = [f"{seed}-{number}" for number in range(30)]
    for number, value in enumerate(values):
        rig.outside.publish([record("in", value, number % 2)])

    def again(_process: Process, _error: BaseException | None) -> None:
        rig.universe.later(SECOND, start)

    def start() -> None:
        rig.universe.spawn("copier", lambda _: _copies(rig.connect()), again)

    for _ in range(2):
        start()
    rig.universe.later(SECOND * 7, lambda: rig.cluster.outage.begin(SECOND * 4))
    rig.universe.later(SECOND * 25, lambda: rig.cluster.outage.begin(SECOND * 15))
    rig.run(SECOND * 60)
    rig.universe.happenings.is_over = True
    rig.run(SECOND * 120)
    return all(Counter(rig.values("out", n)) == Counter(values[n::2]) for n in (0, 1))


@pytest.mark.parametrize("seed", range(20))
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
