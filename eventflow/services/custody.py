"""The custody of one partition of runs: its records, restored from the log and written to it.

Whoever owns partition p in the runners' group is the custodian of its runs: alone it writes
`runs[p]` and publishes completions, in transactions of p. Everything that one step concludes
about the partition is staged, committed in one transaction, and only then true here. After any
failed commit the object is thrown away, and another restores itself from the log.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.codec.dead_letters import dead_letter
from eventflow.errors import UndecodableRecord
from eventflow.model.completion import Completion
from eventflow.model.log import NewRecord, Record, TopicPartition
from eventflow.model.run import RunPosition, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from eventflow.bus.port import Assignment
    from eventflow.model.run import RunRequest
    from eventflow.services.log_parts import LogParts
    from eventflow.store.runs import EndFile

__all__ = ["Custody", "Standing"]

_KEPT = timedelta(days=31)
_LONGEST_REASON = 2000
_FAR_PAST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Standing:
    """An open run, and when its record was appended by the broker's clock."""

    record: RunRecord
    written_at: datetime


@dataclass(slots=True)
class Custody:
    """One owned partition. `requests` and `reports` wait here, decided one after another.

    `has_met_reports` says that the reports were read to their end once since the restore.
    `starting` counts what `stage_start` has promised a slot. Nothing is decided here before
    `not_before` of the clock that never jumps.
    """

    parts: LogParts
    assignment: Assignment
    open: dict[str, Standing] = field(default_factory=dict)
    ended: dict[str, datetime] = field(default_factory=dict)
    requests: deque[Record] = field(default_factory=deque)
    reports: deque[Record] = field(default_factory=deque)
    starting: int = 0
    has_met_reports: bool = False
    not_before: timedelta = timedelta()
    _is_reading: bool = True
    _position: RunPosition | None = None
    _staged: set[str] = field(default_factory=set)
    _records: list[NewRecord] = field(default_factory=list)
    _applied: list[Callable[[], None]] = field(default_factory=list)
    _next: dict[str, int] = field(default_factory=dict)
    _committed: dict[str, int] = field(default_factory=dict)
    _unreadable: dict[bytes, tuple[Record, UndecodableRecord]] = field(default_factory=dict)

    @property
    def partition(self) -> int:
        """The partition number, of `runs`, `run-requests` and `run-reports`."""
        return self.assignment.partition

    def restore(self) -> None:
        """Take the partition over: fence, read `runs[p]` to its true end, go to `position`."""
        self.assignment.acquire()
        self.parts.effects.faults.reach("runner.acquired")
        topic = TopicPartition(self.parts.topics.runs, self.partition)
        for record in read_to_end(self.parts.bus, topic):
            self._fold(record)
        for record, error in self._unreadable.values():
            self._give_up_state(record, error)
        self.parts.effects.faults.reach("runner.restored")
        self._seek()

    def take_in(self, topic: str, records: Sequence[Record]) -> None:
        """Queue what was read."""
        queue = self.requests if topic == self.parts.topics.run_requests else self.reports
        queue.extend(records)

    def can_decide(self, now: timedelta, *, has_room: bool) -> bool:
        """Whether what was read waits here for nothing but being decided."""
        can_accept = self.requests and has_room and self.has_read_reports
        return now >= self.not_before and bool(self.reports or can_accept)

    @property
    def has_read_reports(self) -> bool:
        """Whether every report that stood at the restore was decided, and all read since."""
        return self.has_met_reports and not self.reports

    def met_end(self, topic: str) -> None:
        """There is nothing more to read of a topic just now."""
        if topic == self.parts.topics.run_reports:
            self.has_met_reports = True

    def regulate(self, *, has_room: bool) -> None:
        """Have further requests read only when there is room for them.

        Raises:
            Fenced: another custodian owns the partition.
        """
        is_reading = has_room and not self.requests
        if is_reading != self._is_reading:
            turn = self.assignment.resume if is_reading else self.assignment.pause
            turn(self.parts.topics.run_requests)
            self._is_reading = is_reading

    def is_staged(self, run_id: str) -> bool:
        """Whether something about the run waits for the next commit."""
        return run_id in self._staged

    def knows(self, run_id: str) -> bool:
        """Whether a run of that id was accepted, as far as `runs[p]` remembers."""
        return run_id in self.open or run_id in self.ended

    def is_forgotten(self, request: RunRequest) -> bool:
        """Whether the record of a request of that age may have been tombstoned."""
        return self.parts.effects.clock.now() - request.requested_at > _FAR_PAST

    def has_open(self, record: RunRecord) -> bool:
        """Whether the run is open, and nobody has taken it over since that record."""
        standing = self.open.get(record.run_id)
        return standing is not None and standing.record.epoch == record.epoch

    def stage_start(self, record: RunRecord, then: Callable[[], None]) -> None:
        """As `stage`, of a run that takes a slot once it is committed."""
        self.starting += 1
        self.stage(record, then)

    def stage(self, record: RunRecord, then: Callable[[], None] = lambda: None) -> None:
        """Write an open record; `then` is called once it is committed."""
        now = self.parts.effects.clock.now()

        def apply() -> None:
            self.open[record.run_id] = Standing(record, now)
            then()

        self._staged.add(record.run_id)
        self._records.append(self.parts.codec.new_record(record))
        self._applied.append(apply)

    def stage_end(self, record: RunRecord, end: EndFile, then: Callable[[], None]) -> None:
        """Write the terminal record of a run, and its completion with it."""
        terminal = replace(
            record,
            outcome=end.outcome,
            reason=_short(end.reason),
            finished_at=end.ended_at,
            request=replace(record.request, causes=()),
        )

        def apply() -> None:
            self.open.pop(record.run_id, None)
            self.ended[record.run_id] = end.ended_at
            then()

        self._staged.add(record.run_id)
        self._records.append(self.parts.codec.new_record(terminal))
        self._records.append(self.parts.codec.new_record(_completion(record, end)))
        self._applied.append(apply)

    def stage_dead_letter(self, record: Record, *, reason: str, message: str) -> None:
        """Give a record up, whole, with the reason."""
        letter = dead_letter(self.parts.topics, record, reason=reason, message=message)
        self._records.append(letter)

    def stage_read(self, record: Record) -> None:
        """Count a request or report as read, with the next commit."""
        self._next[record.topic] = record.offset + 1

    def stage_forgetting(self) -> None:
        """Tombstone terminal records that no repeated request can ask for any more."""
        limit = self.parts.effects.clock.now() - _KEPT
        for run_id in [each for each, at in self.ended.items() if at < limit]:
            tombstone = self.parts.codec.tombstone_of(self.parts.topics.runs, run_id)
            self._records.append(tombstone)
            self._applied.append(partial(self._forget, run_id))

    def _forget(self, run_id: str) -> None:
        self.ended.pop(run_id, None)

    @property
    def has_staged(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._records) or self._next != self._committed

    def commit(self) -> Future[None]:
        """Commit all that is staged, in one transaction with the position.

        Raises:
            Fenced: another custodian owns the partition; this object is of no use any more.
        """
        transaction = self.assignment.begin()
        for record in self._records:
            transaction.append(record)
        position = self._staged_position()
        transaction.append(self.parts.codec.new_record(position, partition=self.partition))
        self.parts.effects.faults.reach("runner.appended")
        future = transaction.commit(dict(self._next))
        self.parts.effects.faults.reach("runner.committing")
        return future

    def committed(self) -> None:
        """What was staged is true now."""
        applied, self._applied, self._records = self._applied, [], []
        self._staged.clear()
        self.starting = 0
        self._position, self._committed = self._staged_position(), dict(self._next)
        for apply in applied:
            apply()

    def open_runs(self) -> Iterator[Standing]:
        """The open runs, oldest first."""
        return iter(tuple(self.open.values()))

    def _staged_position(self) -> RunPosition:
        assert self._position is not None
        topics = self.parts.topics
        return replace(
            self._position,
            next_request=self._next[topics.run_requests],
            next_report=self._next[topics.run_reports],
        )

    def _fold(self, record: Record) -> None:
        key = record.key or b""
        self._unreadable.pop(key, None)
        if record.value is None:
            self.ended.pop(key.decode(errors="replace"), None)
            return
        try:
            value = self.parts.decoder.decode(record.value)
        except UndecodableRecord as error:
            self._unreadable[key] = (record, error)
            return
        if isinstance(value, RunPosition):
            self._position = value
        elif isinstance(value, RunRecord):
            self._fold_run(value, record.appended_at)

    def _fold_run(self, run: RunRecord, at: datetime) -> None:
        if run.outcome is None:
            self.open[run.run_id] = Standing(run, at)
        else:
            self.open.pop(run.run_id, None)
            self.ended[run.run_id] = run.finished_at or at

    def _give_up_state(self, record: Record, error: UndecodableRecord) -> None:
        """Move the last value of a key to the dead letters, whole: once, not in every restore."""
        self.stage_dead_letter(record, reason=error.reason, message=str(error))
        topic, key = self.parts.topics.runs, record.key or b""
        self._records.append(NewRecord(topic, key, None, partition=self.partition))

    def _seek(self) -> None:
        """Read on from the position; from the start of a topic that was made anew."""
        topics = self.parts.topics
        requests_id = self.parts.bus.topic(topics.run_requests).topic_id
        reports_id = self.parts.bus.topic(topics.run_reports).topic_id
        was = self._position
        next_request = was.next_request if was and was.requests_topic_id == requests_id else None
        next_report = was.next_report if was and was.reports_topic_id == reports_id else None
        self._next = {
            topics.run_requests: self._after_gap(topics.run_requests, next_request),
            topics.run_reports: self._after_gap(topics.run_reports, next_report),
        }
        self._position = RunPosition(requests_id, next_request or 0, reports_id, next_report or 0)
        for topic, offset in self._next.items():
            self.assignment.seek(topic, offset)
            self.assignment.resume(topic)

    def _after_gap(self, topic: str, position: int | None) -> int:
        partition = TopicPartition(topic, self.partition)
        first = self.parts.bus.low_watermark(partition)
        if position is not None and position < first:
            self._give_up_gap(partition, position, first)
        return max(position or 0, first)

    def _give_up_gap(self, partition: TopicPartition, position: int, first: int) -> None:
        """Keep what retention deleted unread as a dead letter without a value: what is known."""
        now = self.parts.effects.clock.now()
        lost = Record(partition.topic, partition.partition, position, None, None, (), now)
        message = f"offsets {position} to {first - 1} were deleted by retention before being read"
        self.stage_dead_letter(lost, reason="gap", message=message)


def _short(reason: str) -> str:
    """A record has a limit; `end.json` has all of it."""
    return reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + " …"


def _completion(record: RunRecord, end: EndFile) -> Completion:
    request = record.request
    return Completion(
        namespace=request.namespace,
        flow=request.flow,
        version=request.version,
        run_id=request.run_id,
        epoch=end.epoch,
        outcome=end.outcome,
        reason=_short(end.reason),
        requested_at=request.requested_at,
        finished_at=end.ended_at,
        roots=request.roots,
        hops=request.hops,
    )
