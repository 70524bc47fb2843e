"""The transaction coordinator of a simulated cluster (KIP-98, KIP-447).

A transactional id has one holder at a time: whoever takes it over ends what the former one left
open, with a higher epoch, and gets it only when the markers of that stand in every partition.
A commit is decided in one place and at one moment; then its markers reach the partitions one by
one, possibly late. Offsets of a group belong to the transaction and are checked against the
generation of the group when they are sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from eventflow.errors import Fenced
from tests.simulation.simulated_group import GroupFenced
from tests.simulation.simulated_log import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.model.log import NewRecord, TopicPartition
    from tests.simulation.simulated_group import Fence, Group
    from tests.simulation.simulated_log import PartitionLog
    from tests.simulation.simulated_outage import Outage
    from tests.simulation.universe import Universe

__all__ = ["Held", "TransactionCoordinator"]

_QUICK_US = (50, 2_000)
_LATE_US = (50_000, 8_000_000)
_SWEEP_US = (0, 10_000_000)  # transaction.abort.timed.out.transaction.cleanup.interval.ms


@dataclass(frozen=True, slots=True)
class Held:
    """A transactional id as one holder has it."""

    name: str
    epoch: int
    writer: int


@dataclass(slots=True, eq=False)
class _Open:
    """A transaction: its partitions, and the offsets that it will move."""

    verdict: Verdict
    logs: list[PartitionLog] = field(default_factory=list)
    offsets: list[tuple[Group, dict[TopicPartition, int]]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Id:
    """`markers`: how many of the last transaction are on their way still."""

    epoch: int = 0
    timeout: timedelta = timedelta()
    open: _Open | None = None
    markers: int = 0


class TransactionCoordinator:
    """All transactional ids of a cluster. `aborted` counts transactions that had records."""

    def __init__(self, universe: Universe, outage: Outage) -> None:
        self._universe, self._outage = universe, outage
        self._ids: dict[str, _Id] = {}
        self.aborted = 0
        self.refused = 0

    def init(self, name: str, timeout: timedelta, writer: int) -> Held | None:
        """Take an id over (InitProducerId); None: ask again, something of it is not settled."""
        known = self._ids.setdefault(name, _Id())
        if known.open is not None:
            self._fence(known)
        if known.markers:
            return None
        known.epoch += 1
        known.timeout = timeout
        return Held(name, known.epoch, writer)

    def is_settled(self, name: str) -> bool:
        """Whether all markers of the last transaction of an id stand where they belong."""
        return not self._ids[name].markers

    def produce(self, held: Held, log: PartitionLog, records: Sequence[NewRecord]) -> None:
        """Append to the open transaction of an id; the first call opens it.

        Raises:
            Fenced: another holder took over.
        """
        opened = self._opened(held)
        if log not in opened.logs:
            opened.logs.append(log)
        for record in records:
            log.append(record, self._universe.now, opened.verdict)
        self._universe.notify()

    def send_offsets(
        self, held: Held, group: Group, fence: Fence, offsets: Mapping[TopicPartition, int]
    ) -> None:
        """Have the open transaction move offsets of a group (KIP-447).

        Raises:
            Fenced: another holder took over, or the group is in another generation.
        """
        opened = self._opened(held)
        if not group.allows(fence):
            self.refused += 1
            raise GroupFenced(f"{held.name}: generation {fence.generation} is over")
        opened.offsets.append((group, dict(offsets)))
        group.expect(offsets)

    def end(self, held: Held, *, commit: bool) -> None:
        """Commit or abort what is open (EndTxn): from now on it is decided.

        Raises:
            Fenced: another holder took over.
        """
        known = self._check(held)
        if known.open is not None:
            self._decide(known, known.open, commit=commit)

    def _check(self, held: Held) -> _Id:
        known = self._ids[held.name]
        if known.epoch != held.epoch:
            self.refused += 1
            raise Fenced(f"{held.name}: epoch {held.epoch} is over, it is {known.epoch}")
        return known

    def _opened(self, held: Held) -> _Open:
        known = self._check(held)
        if known.open is None:
            known.open = opened = _Open(Verdict(held.writer))
            late = self._delay(_SWEEP_US)
            self._later(known.timeout + late, lambda: self._time_out(known, opened))
        return known.open

    def _time_out(self, known: _Id, opened: _Open) -> None:
        if known.open is opened:
            self._fence(known)

    def _fence(self, known: _Id) -> None:
        """Abort what is open; who opened it is out."""
        assert known.open is not None
        known.epoch += 1
        self._decide(known, known.open, commit=False)

    def _decide(self, known: _Id, opened: _Open, *, commit: bool) -> None:
        known.open = None
        opened.verdict.is_committed = commit
        opened.verdict.sequence = self._universe.stamp()
        self.aborted += bool(opened.logs) and not commit
        marks: list[Callable[[], None]] = [self._mark_of(opened, log) for log in opened.logs]
        marks += [
            partial(group.settle, offsets, is_committed=commit) for group, offsets in opened.offsets
        ]
        known.markers = len(marks)
        for mark in marks:
            is_late = self._universe.happens("marker.late")
            after = self._delay(_LATE_US if is_late else _QUICK_US)
            self._later(after, partial(self._arrive, known, mark))

    def _arrive(self, known: _Id, mark: Callable[[], None]) -> None:
        mark()
        known.markers -= 1
        self._universe.notify()

    def _mark_of(self, opened: _Open, log: PartitionLog) -> Callable[[], None]:
        def mark() -> None:
            is_late = self._universe.happens("replica.late")
            show = log.mark(opened.verdict, is_replicated=not is_late)
            if is_late:
                self._later(self._delay(_LATE_US), lambda: self._show(show))

        return mark

    def _show(self, show: Callable[[], None]) -> None:
        show()
        self._universe.notify()

    def _later(self, after: timedelta, action: Callable[[], None]) -> None:
        self._universe.later(after, lambda: self._outage.after(action))

    def _delay(self, range_us: tuple[int, int]) -> timedelta:
        return timedelta(microseconds=self._universe.random.randint(*range_us))
