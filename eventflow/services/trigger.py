"""The trigger service: decides every record of the event log, and durably requests runs.

Flow: `events[p]` → the trigger machine (`model.matching`) → one transaction a partition and poll
{run requests, decisions, forwards, dead letters, re-routed records, trigger state, position}.
Guaranteed: each event, or joined set, is requested exactly once for each deployment that was
active at its offset and matches it; a zombie commits nothing (docs/protocols.md §2, §3, §5).

It has no threads: `step` does what can be done now. It never imports user code. Where the work
of a partition fails, that partition is restored from the log and the others go on.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from eventflow.errors import (
    BucketMissing,
    BusBusy,
    BusUnreachable,
    Fenced,
    StoreForbidden,
    StoreUnreachable,
)
from eventflow.model.conclusions import Reason
from eventflow.services.trigger_partition import TriggerPartition, TriggerParts
from eventflow.services.trigger_take_over import TakeOver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from eventflow.bus.port import Assignment, Poll
    from eventflow.services.trigger_staging import Tally

__all__ = ["FAULT_POINTS", "GROUP", "Progress", "TriggerParts", "TriggerService"]

GROUP = "trigger"
FAULT_POINTS = (
    "trigger.polled",
    "trigger.acquired",
    "trigger.restored",
    "trigger.sought",
    "trigger.decided",
    "trigger.stored",
    "trigger.appended",
    "trigger.committing",
    "trigger.committed",
)

_log = structlog.get_logger(__name__)
_NO_WAIT = timedelta()
_PAUSE = timedelta(seconds=1)
_TAKE_OVER_SLICE = timedelta(milliseconds=500)
_STALLED = timedelta(seconds=60)
_ANEW = (Fenced, BusBusy, BusUnreachable)
_STORE_AWAY = (StoreUnreachable, StoreForbidden, BucketMissing)


@dataclass(frozen=True, slots=True)
class Progress:
    """What health looks at. `stalled_for`: how long nothing was committed while records waited."""

    partitions: int
    deciding: int
    lag: int
    stalled_for: timedelta

    @property
    def is_ready(self) -> bool:
        """Whether all that is owned is being decided, and moves."""
        return self.deciding == self.partitions and self.stalled_for < _STALLED


class TriggerService:
    """One member of the trigger services. Call `step` again and again."""

    def __init__(self, parts: TriggerParts) -> None:
        self._parts, self._log = parts, parts.log
        self._metrics, self._clock = parts.metrics, parts.log.effects.clock
        topics = parts.log.topics
        group = f"{topics.prefix}{GROUP}"
        self._consumer = parts.log.bus.consumer(group, [topics.events], transactional_id=group)
        self._deciding: dict[int, TriggerPartition] = {}
        self._taking_over: dict[int, TakeOver] = {}
        self._held_up: dict[int, timedelta] = {}
        self._moved_at = self._clock.elapsed()
        self._lag = 0

    @property
    def is_drained(self) -> bool:
        """Always: what is not committed is read again by the next owner."""
        return True

    @property
    def progress(self) -> Progress:
        """How far it has come, as of the last step."""
        waits = self._lag > 0 or bool(self._taking_over or self._held_up)
        stalled = self._clock.elapsed() - self._moved_at if waits else _NO_WAIT
        owned = len(self._deciding) + len(self._taking_over)
        return Progress(owned, len(self._deciding), self._lag, stalled)

    @property
    def why_not_ready(self) -> str:
        """Why it makes no progress; empty when it does."""
        progress = self.progress
        if progress.is_ready:
            return ""
        owned = f"{progress.deciding} of {progress.partitions} partitions are decided"
        return f"{owned}; nothing was committed for {progress.stalled_for.total_seconds():.0f} s"

    def drain(self) -> None:
        """Nothing to do: no work outlives a step."""

    def step(self, timeout: timedelta) -> None:
        """Do what can be done now; wait up to `timeout` for something to do.

        Raises:
            BusUnreachable: nothing is lost; call it again.
            OperatorError: somebody has to act; nothing is lost either.
        """
        poll = self._consumer.poll(self._patience(timeout), limit=self._parts.settings.batch)
        self._log.effects.faults.reach("trigger.polled")
        self._change_hands(poll)
        self._take_over()
        self._take_in(poll)
        self._decide()
        self._commit()
        self._regulate()

    def close(self) -> None:
        """Leave the group; the partitions move at once."""
        for take_over in self._taking_over.values():
            take_over.close()
        self._taking_over.clear()
        self._deciding.clear()
        self._consumer.close()

    # -- partitions ------------------------------------------------------------------------------

    def _change_hands(self, poll: Poll) -> None:
        for assignment in poll.lost:
            self._lose(assignment)
        for assignment in poll.assigned:
            self._deciding.pop(assignment.partition, None)
            self._taking_over[assignment.partition] = TakeOver(self._parts, assignment)

    def _lose(self, assignment: Assignment) -> None:
        number = assignment.partition
        self._deciding.pop(number, None)
        self._held_up.pop(number, None)
        take_over = self._taking_over.pop(number, None)
        if take_over is not None:
            take_over.close()
        self._metrics.lag.labels(str(number)).set(0)

    def _take_over(self) -> None:
        """A slice of the take-overs that are due: at least one step of the first one, and no
        more of the others than there is time for, so that a member never stops polling."""
        now = self._clock.elapsed()
        until = now + _TAKE_OVER_SLICE
        for number, take_over in tuple(self._taking_over.items()):
            if take_over.not_before > now:
                continue
            with self._anew_when_failed(take_over):
                partition = take_over.advance(until)
                if partition is not None:
                    del self._taking_over[number]
                    self._deciding[number] = partition
                    self._moved_at = self._clock.elapsed()
            if self._clock.elapsed() >= until:
                return

    @contextmanager
    def _anew_when_failed(self, work: TakeOver | TriggerPartition) -> Iterator[None]:
        """Whatever fails, no object that may have run ahead of the log is used again."""
        try:
            yield
        except _ANEW as error:
            self._begin_anew(work, error)
        except Exception as error:
            self._begin_anew(work, error)
            raise

    def _begin_anew(self, former: TakeOver | TriggerPartition, error: Exception) -> None:
        """Take a partition over again, unless it is lost: at most once a second (§2)."""
        assignment, number = former.assignment, former.assignment.partition
        _log.warning("trigger.beginning-anew", partition=number, error=str(error))
        self._deciding.pop(number, None)
        self._held_up.pop(number, None)
        self._taking_over.pop(number, None)
        if self._is_paused(assignment):
            self._taking_over[number] = TakeOver(
                self._parts,
                assignment,
                not_before=self._clock.elapsed() + _PAUSE,
                too_large=former.too_large,
            )

    def _is_paused(self, assignment: Assignment) -> bool:
        """Whether the assignment is live still; then nothing is delivered for now."""
        try:
            assignment.pause(self._log.topics.events)
        except Fenced:
            return False
        return assignment.is_live

    # -- records ---------------------------------------------------------------------------------

    def _take_in(self, poll: Poll) -> None:
        for where, records in poll.records.items():
            if where.partition in self._deciding:
                self._deciding[where.partition].take_in(records)
        for where, next_offset in poll.ended.items():
            if where.partition in self._deciding:
                self._deciding[where.partition].reach_end(next_offset)

    def _decide(self) -> None:
        for partition in tuple(self._deciding.values()):
            with self._anew_when_failed(partition):
                partition.decide()
                partition.pass_time()
        self._log.effects.faults.reach("trigger.decided")

    def _commit(self) -> None:
        """Commit every partition that is due, all in parallel; then wait for each."""
        started: list[tuple[TriggerPartition, Future[None]]] = []
        try:
            for partition in tuple(self._deciding.values()):
                if self._is_due(partition):
                    started.extend(self._begin_commit(partition))
        finally:
            for partition, future in started:
                self._end_commit(partition, future)

    def _is_due(self, partition: TriggerPartition) -> bool:
        if self._held_up.get(partition.partition, _NO_WAIT) > self._clock.elapsed():
            return False
        return partition.commit_due_in == _NO_WAIT

    def _begin_commit(
        self, partition: TriggerPartition
    ) -> list[tuple[TriggerPartition, Future[None]]]:
        """The commit that goes on now; none where it could not begin."""
        number = partition.partition
        self._held_up.pop(number, None)
        with self._anew_when_failed(partition):
            try:
                return [(partition, partition.commit())]
            except Fenced:
                self._metrics.refused_commits.inc()
                raise
            except _STORE_AWAY as error:
                _log.warning("trigger.waits-for-store", partition=number, error=str(error))
                self._held_up[number] = self._clock.elapsed() + _PAUSE
        return []

    def _end_commit(self, partition: TriggerPartition, future: Future[None]) -> None:
        with self._anew_when_failed(partition):
            try:
                future.result()
            except Fenced:
                self._metrics.refused_commits.inc()
                raise
            self._log.effects.faults.reach("trigger.committed")
            self._moved_at = self._clock.elapsed()
            self._count(partition.settle())

    # -- pace ------------------------------------------------------------------------------------

    def _patience(self, timeout: timedelta) -> timedelta:
        """How long to wait for records: no longer than until something else is due."""
        now = self._clock.elapsed()
        waits = [timeout]
        for number, partition in self._deciding.items():
            due = partition.commit_due_in
            if partition.has_backlog and number not in self._held_up:
                return _NO_WAIT
            if due is not None:
                waits.append(max(due, self._held_up.get(number, _NO_WAIT) - now))
            if partition.timer_due_in is not None:
                waits.append(partition.timer_due_in)
        waits.extend(each.not_before - now for each in self._taking_over.values())
        return max(_NO_WAIT, min(waits))

    def _regulate(self) -> None:
        """Read no further where something waits for its commit: memory is bounded."""
        for number, partition in tuple(self._deciding.items()):
            with self._anew_when_failed(partition):
                is_welcome = not partition.has_backlog and number not in self._held_up
                partition.read_on(is_welcome=is_welcome)
        self._metrics.partitions.set(len(self._deciding) + len(self._taking_over))
        lags = self._consumer.lag
        self._lag = sum(lags.values())
        for where, lag in lags.items():
            self._metrics.lag.labels(str(where.partition)).set(lag)

    def _count(self, tally: Tally) -> None:
        metrics, now = self._metrics, self._clock.now()
        for kind, count in tally.kinds.items():
            metrics.events.labels(kind).inc(count)
        for verdict, count in tally.verdicts.items():
            metrics.decisions.labels(verdict).inc(count)
        for reason, count in tally.dead_letters.items():
            metrics.dead_letters.labels(reason).inc(count)
            _log.warning("trigger.gave-up", reason=reason, count=count)
        for appended_at in tally.starts:
            metrics.event_to_start.observe(max(0.0, (now - appended_at).total_seconds()))
        metrics.gaps.inc(tally.dead_letters[Reason.GAP])
        for firing in tally.firings:
            metrics.lateness.observe(max(0.0, (now - firing.due_at).total_seconds()))
            metrics.skipped.inc(firing.skipped)
        metrics.starts.inc(len(tally.starts) + len(tally.firings))
        metrics.forwards.inc(tally.forwards)
        metrics.id_conflicts.inc(tally.id_conflicts)
        if tally.rerouted:
            metrics.rerouted.inc(tally.rerouted)
            _log.warning("trigger.rerouted", count=tally.rerouted)
