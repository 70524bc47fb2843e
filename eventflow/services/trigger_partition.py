"""One partition of the event log, decided record by record and committed batch by batch.

    records → decide (pure, ahead of the log) → blobs → one transaction {conclusions, position,
    consumed offset} → true

Timers fire as the records pass their due times. Where one is due by the wall clock, and every
record that was in the log by then is decided, it fires without a record: a backlog is never
overtaken by the clock.

After a commit that did not succeed the object is thrown away: its state ran ahead of the log.
The next one is made by `TakeOver` from what the log has (docs/protocols.md §3).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.calendars import CronCalendar
from eventflow.errors import BusBusy, RecordTooLarge, UndecodableRecord
from eventflow.model.conclusions import Reason
from eventflow.model.log import TopicPartition
from eventflow.model.matching import handle, pass_time
from eventflow.model.state import TriggerPosition
from eventflow.services.trigger_intake import Intake, kind_of
from eventflow.services.trigger_staging import Staging
from eventflow.store.blobs import put_blob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from eventflow.bus.deployment_log import DeploymentLog
    from eventflow.bus.port import Assignment, Transaction
    from eventflow.metrics import TriggerMetrics
    from eventflow.model.log import NewRecord, Record
    from eventflow.model.partition_state import PartitionState
    from eventflow.model.timetable import Calendar
    from eventflow.services.log_parts import LogParts
    from eventflow.services.trigger_staging import Tally
    from eventflow.settings import TriggerSettings
    from eventflow.store.port import Store

__all__ = ["Decided", "TriggerPartition", "TriggerParts"]


@dataclass(frozen=True, slots=True)
class TriggerParts:
    """The connected objects of a trigger service."""

    log: LogParts
    store: Store
    deployments: DeploymentLog
    settings: TriggerSettings
    metrics: TriggerMetrics
    calendar: Calendar = field(default_factory=CronCalendar)


@dataclass(frozen=True, slots=True)
class _Barrier:
    """At `at`, by the wall clock, a timer was due; what stood in the log by then ends at `end`."""

    at: datetime
    end: int


@dataclass(slots=True)
class Decided:
    """How far a partition is decided, and all that is known of it there."""

    state: PartitionState
    topic_id: str
    next_offset: int

    @property
    def position(self) -> TriggerPosition:
        """As `trigger-state` has it."""
        return TriggerPosition(self.topic_id, self.next_offset, self.state.clock)


class TriggerPartition:
    """An owned and restored partition.

    `too_large` has the offsets of records whose conclusions the bus refused for their size: they
    become dead letters when they are met again.
    """

    def __init__(
        self,
        parts: TriggerParts,
        assignment: Assignment,
        decided: Decided,
        too_large: frozenset[int] = frozenset(),
    ) -> None:
        self.assignment, self.too_large = assignment, too_large
        self._parts, self._decided = parts, decided
        self._log, self._settings, self._clock = parts.log, parts.settings, parts.log.effects.clock
        self._intake = Intake(parts.log.decoder, decided.state.place, decided.topic_id)
        self._queue: deque[Record] = deque()
        self._staging = self._new_staging()
        self._end = 0
        self._barrier: _Barrier | None = None
        self._is_paused = True
        self._uncommitted = 0
        self._committed_at = self._clock.elapsed()
        self._committed_offset = decided.next_offset

    @property
    def partition(self) -> int:
        """Its number."""
        return self.assignment.partition

    @property
    def has_backlog(self) -> bool:
        """Whether records that were read wait for the next transaction."""
        return bool(self._queue)

    @property
    def commit_due_in(self) -> timedelta | None:
        """After how long it has to be committed; None when there is nothing to commit."""
        if self._staging.records or self._uncommitted >= self._settings.idle_commit_records:
            return timedelta()
        if self._decided.next_offset == self._committed_offset:
            return None
        silent = self._clock.elapsed() - self._committed_at
        return max(timedelta(), self._settings.idle_commit - silent)

    @property
    def timer_due_in(self) -> timedelta | None:
        """After how long a timer has to be looked at; None while there is none, or while records
        are waited for that were there first."""
        due_at = self._decided.state.timers.next_due_at
        if due_at is None or self._barrier is not None:
            return None
        return max(timedelta(), due_at - self._clock.now())

    def read_on(self, *, is_welcome: bool) -> None:
        """Have more records delivered, or none.

        Raises:
            Fenced: the partition is lost.
        """
        if is_welcome == self._is_paused:
            flip = self.assignment.resume if is_welcome else self.assignment.pause
            flip(self._log.topics.events)
            self._is_paused = not is_welcome

    def take_in(self, records: Sequence[Record]) -> None:
        """Queue what was read, in the order of the log."""
        self._queue.extend(records)

    def reach_end(self, next_offset: int) -> None:
        """Nothing committed is left between what was read and `next_offset`: the position will
        pass the markers of transactions too, so that retention, which deletes them some day,
        never seems to have deleted something unread."""
        self._end = next_offset

    def skip_to(self, first: int) -> None:
        """Begin at the first offset kept; what retention deleted before it is a dead letter."""
        at = self._clock.now()
        self._staging.record_gap(self._decided.next_offset, first, self._decided.topic_id, at)
        self._decided.next_offset = first

    def decide(self) -> None:
        """Decide what is queued, as far as one transaction takes it."""
        while self._queue and not self._staging.is_full:
            record = self._queue.popleft()
            try:
                self._decide_one(record)
            except UndecodableRecord as error:
                self._staging.tally.kinds["unusable"] += 1
                self._staging.give_up(record, error.reason, str(error))
            self._decided.next_offset = record.offset + 1
            self._uncommitted += 1
        if not self._queue:
            self._decided.next_offset = max(self._decided.next_offset, self._end)

    def pass_time(self) -> None:
        """Fire the timers that are due by the wall clock, once all records are decided that stood
        in the log at that time.

        Raises:
            BusUnreachable: nothing has changed.
        """
        if self._barrier is None and self.timer_due_in == timedelta():
            where = TopicPartition(self._log.topics.events, self.partition)
            now = self._clock.now()
            self._barrier = _Barrier(now, self._log.bus.high_watermark(where))
        if self._barrier is None or self._decided.next_offset < self._barrier.end:
            return
        if self._staging.is_full:
            return
        now, self._barrier = self._barrier.at, None
        find, calendar = self._parts.deployments.find, self._parts.calendar
        self._staging.conclude_timers(pass_time(self._decided.state, now, find, calendar))

    def commit(self) -> Future[None]:
        """Begin to commit all that was decided.

        Raises:
            StoreUnreachable: nothing has changed; call it again later.
            Fenced, BusBusy, BusUnreachable: this object is of no use any more.
            RecordTooLarge: a topic takes less than it has to.
        """
        faults = self._log.effects.faults
        self._put_blobs()
        transaction = self.assignment.begin()
        for offset, record in self._staging.records:
            self._append(transaction, offset, record)
        position = self._decided.position
        transaction.append(self._log.codec.new_record(position, partition=self.partition))
        faults.reach("trigger.appended")
        future = transaction.commit({self._log.topics.events: self._decided.next_offset})
        faults.reach("trigger.committing")
        return future

    def settle(self) -> Tally:
        """The commit succeeded: what was decided is true. What it came to."""
        tally, self._staging = self._staging.tally, self._new_staging()
        self._uncommitted = 0
        self._committed_at = self._clock.elapsed()
        self._committed_offset = self._decided.next_offset
        return tally

    def _decide_one(self, record: Record) -> None:
        if record.offset in self.too_large:
            raise UndecodableRecord(
                "What follows from it is larger than a topic takes.", reason=Reason.TOO_LARGE
            )
        entry = self._intake.read(record)
        self._staging.tally.kinds[kind_of(entry.body)] += 1
        namespace = self._intake.namespace_if_elsewhere(entry.body)
        if namespace is not None:
            self._staging.reroute(record, self._decided.topic_id, namespace)
            return
        state = self._decided.state
        now = max(state.clock, entry.appended_at, self._clock.now())
        find, calendar = self._parts.deployments.find, self._parts.calendar
        self._staging.conclude(record, handle(state, entry, now, find, calendar))

    def _put_blobs(self) -> None:
        for place, data in tuple(self._staging.blobs.items()):
            put_blob(self._parts.store, place[0], data)
            del self._staging.blobs[place]
            self._log.effects.faults.reach("trigger.stored")

    def _append(self, transaction: Transaction, offset: int, record: NewRecord) -> None:
        """Where it is too large, let the next object of this partition give `offset` up, unless
        that is what was tried."""
        try:
            transaction.append(record)
        except RecordTooLarge as error:
            transaction.abort()
            if offset in self.too_large:
                raise
            self.too_large |= {offset}
            raise BusBusy(f"What follows from offset {offset}: {error}") from error

    def _new_staging(self) -> Staging:
        return Staging(self._log.codec, self._log.topics, self.partition)
