"""The runner: takes run requests, executes them, and brings each to its one end.

Flow: `run-requests[p]` → accept (a committed RunRecord) → execute in a slot → `end.json` →
completion. It is the custodian of the partitions that its consumer group gives it, and executes
runs of others' partitions to their end when a partition moves. Guaranteed: each request is
accepted once, each run has one end and one completion, whoever dies (docs/protocols.md §6).

It has no threads: `step` does what can be done now. It never imports user code.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from eventflow.errors import (
    BusBusy,
    BusUnreachable,
    Fenced,
    Retriable,
    UndecodableRecord,
)
from eventflow.model.log import partition_of
from eventflow.model.presence import WhyTakeOver, taken_over
from eventflow.model.run import Cancellation, RunRecord, RunReport, RunRequest
from eventflow.services.cancelling import Cancelling
from eventflow.services.commits import commit_all
from eventflow.services.custody import Custody, Standing
from eventflow.services.ends import end_of, end_to_publish, fail, owes_hooks
from eventflow.services.hopeless import why_hopeless
from eventflow.services.reports import report
from eventflow.services.slots import AWAY
from eventflow.store.runs import EndFile, finished_tasks, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.bus.port import Assignment, Poll
    from eventflow.model.deployment import Deployment
    from eventflow.model.log import Record
    from eventflow.services.runner_parts import RunnerParts
    from eventflow.services.slots import Execution

__all__ = ["FAULT_POINTS", "GROUP", "Runner"]

GROUP = "runner"
FAULT_POINTS = (
    *("runner.beaten", "runner.acquired", "runner.restored", "runner.appended"),
    *("runner.committing", "runner.committed", "runner.code-unpacked"),
    *("runner.beginning-written", "runner.deciding", "runner.end-decided"),
    *("runner.marked-successful", "runner.reported", "runner.said-gone"),
)

_log = structlog.get_logger(__name__)
_TICK = timedelta(milliseconds=2)
_LONG_TICK = timedelta(milliseconds=50)
_NO_WAIT = timedelta()
_REFENCE = timedelta(seconds=1)
_RETRY = timedelta(milliseconds=500)
_HOURLY = timedelta(hours=1)
_FETCH = 64


class Runner:
    """One runner process. Call `step` again and again, at least every second or so."""

    def __init__(self, parts: RunnerParts) -> None:
        self._parts, self._log_parts = parts, parts.log
        self._store, self._slots, self._presence = parts.store, parts.slots, parts.presence
        self._metrics, self._clock = parts.metrics, parts.log.effects.clock
        topics = parts.log.topics
        group = f"{topics.prefix}{GROUP}"
        self._consumer = parts.log.bus.consumer(
            group, [topics.run_requests, topics.run_reports], transactional_id=group
        )
        self._custodies: dict[int, Custody] = {}
        self._unrestored: dict[int, tuple[Assignment, timedelta]] = {}
        self._cancelling = Cancelling(parts)
        self._is_draining = False
        self._forget_at = self._clock.elapsed() + _HOURLY
        self._metrics.slots.set(self._slots.count)

    @property
    def is_drained(self) -> bool:
        """Whether it executes nothing (any more)."""
        return not self._slots.working

    @property
    def why_not_ready(self) -> str:
        """Why it makes no progress; empty when it does."""
        if self._presence.has_lapsed:
            return "no heartbeat was acknowledged within the lease"
        waiting = len(self._unrestored)
        return f"{waiting} partitions wait for a restore" if waiting else ""

    def drain(self) -> None:
        """Accept and take over nothing from now on."""
        self._is_draining = True

    def step(self, timeout: timedelta) -> None:
        """Do what can be done now; wait up to `timeout` for something to do.

        Raises:
            BusUnreachable: nothing is lost; call it again.
        """
        self._keep_alive()
        is_busy = self._slots.is_executing or self._can_decide
        self._take_in(self._consumer.poll(_NO_WAIT if is_busy else timeout, limit=_FETCH))
        self._restore()
        if self._is_late:
            self._keep_alive()
        self._slots.advance(self._patience, lambda: self._is_late)
        self._cancelling.look(self._may_have_ended)
        self._conclude()
        self._forget()
        self._commit()
        self._report()
        self._regulate()
        self._parts.task_states.flush()

    def close(self) -> None:
        """Stop all tasks, release the runs, say goodbye, leave the group.

        Raises:
            BusUnreachable: nobody was told; the tasks are stopped nevertheless.
        """
        stopped = self._slots.stop_unfinished()
        try:
            for execution in self._slots.ended():
                self._finish(execution)
            self._report()
            self._release(stopped)
            self._commit()
            self._presence.leave()
        finally:
            self._slots.close()
            self._consumer.close()

    @property
    def _can_decide(self) -> bool:
        """Whether records that were read wait for nothing but the next step."""
        now, room = self._clock.elapsed(), self._has_room
        return any(each.can_decide(now, has_room=room) for each in self._custodies.values())

    @property
    def _patience(self) -> timedelta:
        """How long to wait for tasks: for their ends only, or for what the bus may bring too."""
        if not self._slots.is_executing or self._can_decide:
            return _NO_WAIT
        return _TICK if self._slots.free else _LONG_TICK

    # -- the lease -------------------------------------------------------------------------------

    @property
    def _is_late(self) -> bool:
        """Whether the heartbeat is due: what takes long stops here and goes on in the next step,
        so that between two heartbeats there is one slow answer, not one a run."""
        return self._presence.is_due

    def _keep_alive(self) -> None:
        self._mind_the_lease()
        try:
            self._presence.tick(self._slots.working)
        except BusUnreachable:
            # The wait for an answer may have outlasted the lease.
            self._mind_the_lease()
            raise

    def _mind_the_lease(self) -> None:
        if not self._presence.has_lapsed:
            return
        _log.warning("runner.lapsed", runner_id=self._presence.runner_id)
        self._metrics.lapses.inc()
        self._slots.stop_unfinished()
        self._presence.renew()

    # -- partitions ------------------------------------------------------------------------------

    def _take_in(self, poll: Poll) -> None:
        for assignment in poll.lost:
            self._custodies.pop(assignment.partition, None)
            self._unrestored.pop(assignment.partition, None)
            self._metrics.lag.labels(str(assignment.partition)).set(0)
        for assignment in poll.assigned:
            self._unrestored[assignment.partition] = (assignment, _NO_WAIT)
        for where, records in poll.records.items():
            custody = self._custodies.get(where.partition)
            if custody is not None:
                custody.take_in(where.topic, records)
        for where in poll.ended:
            custody = self._custodies.get(where.partition)
            if custody is not None:
                custody.met_end(where.topic)

    def _restore(self) -> None:
        now = self._clock.elapsed()
        for partition, (assignment, not_before) in tuple(self._unrestored.items()):
            if not assignment.is_live:
                del self._unrestored[partition]
            elif now >= not_before:
                self._restore_one(assignment)
                if self._is_late:
                    break

    def _restore_one(self, assignment: Assignment) -> None:
        custody = Custody(self._log_parts, assignment)
        try:
            custody.restore()
        except (Fenced, BusBusy, BusUnreachable) as error:
            # One partition without a leader keeps none of the others waiting.
            _log.warning("runner.restore-failed", partition=custody.partition, error=str(error))
            self._again(assignment)
            return
        del self._unrestored[assignment.partition]
        self._custodies[assignment.partition] = custody

    def _again(self, assignment: Assignment) -> None:
        """Restore a partition anew, unless it is lost: at most once a second (§2)."""
        self._custodies.pop(assignment.partition, None)
        self._unrestored.pop(assignment.partition, None)  # last in the order, too
        self._unrestored[assignment.partition] = (assignment, self._clock.elapsed() + _REFENCE)

    # -- what follows ----------------------------------------------------------------------------

    def _conclude(self) -> None:
        for execution in self._slots.ended():
            self._finish(execution)
        for custody in self._custodies.values():
            if self._clock.elapsed() >= custody.not_before:
                self._conclude_one(custody)
            if self._is_late:
                break

    def _conclude_one(self, custody: Custody) -> None:
        try:
            self._read_reports(custody)
            self._take_overs(custody)
            self._accept(custody)
        except AWAY as error:
            # What was staged is committed; the rest waits in its queue for the store.
            _log.warning("store.away", error=str(error))
            custody.not_before = self._clock.elapsed() + _RETRY

    @property
    def _has_room(self) -> bool:
        """Whether a slot is free, and not promised to a record that waits for its commit."""
        if self._is_draining or self._presence.has_lapsed:
            return False
        return self._slots.free > sum(each.starting for each in self._custodies.values())

    def _finish(self, execution: Execution) -> None:
        """Publish the end of a run of a partition owned here."""
        record, end = execution.record, execution.end
        assert end is not None
        custody = self._custodies.get(self._partition_of(record.run_id))
        if custody is None:
            return
        if record.run_id in custody.ended:
            self._slots.release(record.run_id)
        elif not custody.is_staged(record.run_id):
            # Whoever has taken the run over meanwhile: the end that stands is the end.
            standing = custody.open.get(record.run_id)
            self._stage_end(custody, standing.record if standing else record, end)

    def _stage_end(self, custody: Custody, record: RunRecord, end: EndFile) -> None:
        def then() -> None:
            self._slots.release(record.run_id)
            self._metrics.ended.labels(end.outcome.value).inc()
            lasted = end.ended_at - record.request.requested_at
            self._metrics.duration.labels(end.outcome.value).observe(lasted.total_seconds())

        custody.stage_end(record, end, then)

    def _read_reports(self, custody: Custody) -> None:
        while custody.reports:
            record = custody.reports[0]
            value = self._decoded(custody, record)
            if isinstance(value, RunReport):
                self._heed(custody, value)
            elif isinstance(value, Cancellation):
                if custody.is_staged(value.run_id):
                    break  # decided when it is known what the run is then
                self._cancel(custody, value)
            custody.reports.popleft()
            custody.stage_read(record)
            if self._is_late:
                break

    def _heed(self, custody: Custody, report: RunReport) -> None:
        standing = custody.open.get(report.run_id)
        if standing is None or custody.is_staged(report.run_id):
            return
        if report.is_released:
            if standing.record.epoch == report.epoch:
                custody.stage(replace(standing.record, runner_id=""))
            return
        end = end_to_publish(self._store, standing.record.request, self._log_parts.effects)
        if end is not None:
            self._slots.stop(report.run_id)
            self._stage_end(custody, standing.record, end)

    def _cancel(self, custody: Custody, asked: Cancellation) -> None:
        """End a run as cancelled, unless it has ended: decided before the cancellation counts as
        read, so that whoever dies here leaves it to the next custodian."""
        standing, request = custody.open.get(asked.run_id), asked.request
        if standing is not None:
            end = self._cancelling.end(standing.record, asked.reason)
            if end is not None:
                self._stage_end(custody, standing.record, end)
        elif request is None or request.run_id != asked.run_id or self._is_known(custody, request):
            return
        elif unstarted := self._cancelling.unstarted(request, asked.reason):
            self._stage_end(custody, *unstarted)

    def _forget(self) -> None:
        """Remove what nobody can ask for any more, now and then."""
        if self._clock.elapsed() < self._forget_at:
            return
        self._forget_at = self._clock.elapsed() + _HOURLY
        for custody in self._custodies.values():
            custody.stage_forgetting()
        self._presence.sweep()

    # -- take-overs ------------------------------------------------------------------------------

    def _take_overs(self, custody: Custody) -> None:
        for standing in custody.open_runs():
            if not self._has_room:
                break
            why = self._why_take_over(custody, standing)
            if why is not None:
                self._take_over(custody, standing.record, why)
                if self._is_late:
                    break

    def _why_take_over(self, custody: Custody, standing: Standing) -> WhyTakeOver | None:
        record = standing.record
        if self._slots.executes(record.run_id, record.epoch) or custody.is_staged(record.run_id):
            return None
        if record.runner_id == self._presence.runner_id:
            return WhyTakeOver.NOT_LISTED
        return self._presence.why_take_over(record, standing.written_at)

    def _take_over(self, custody: Custody, record: RunRecord, why: WhyTakeOver) -> None:
        """Go on with a run, unless it has ended or is hopeless."""
        end = end_to_publish(self._store, record.request, self._log_parts.effects)
        deployment = self._deployment(record.request)
        if end is not None and not owes_hooks(self._store, record, deployment, end):
            self._metrics.recovered.inc()
            self._stage_end(custody, record, end)
            return
        finished = finished_tasks(self._store, place_of(record.request))
        taken = taken_over(record, self._presence.runner_id, why, finished)
        most = self._parts.settings.max_take_overs
        hopeless = why_hopeless(taken, deployment, max_take_overs=most)
        if hopeless is not None or deployment is None:
            end = fail(self._store, record, hopeless or "", self._log_parts.effects)
            self._stage_end(custody, record, end)
        else:
            self._stage_take_over(custody, taken, deployment, why)

    def _stage_take_over(
        self, custody: Custody, record: RunRecord, deployment: Deployment, why: WhyTakeOver
    ) -> None:
        def then() -> None:
            self._metrics.take_overs.labels(why.value).inc()
            _log.info("run.taken-over", run_id=record.run_id, epoch=record.epoch, why=why.value)
            self._slots.take(record, deployment)

        custody.stage_start(record, then)

    # -- requests --------------------------------------------------------------------------------

    def _accept(self, custody: Custody) -> None:
        while custody.requests and custody.has_read_reports and self._has_room:
            record = custody.requests[0]
            request = self._decoded(custody, record)
            if isinstance(request, RunRequest) and not self._is_known(custody, request):
                self._accept_one(custody, record, request)
            custody.requests.popleft()
            custody.stage_read(record)
            if self._is_late:
                break

    def _is_known(self, custody: Custody, request: RunRequest) -> bool:
        if custody.knows(request.run_id) or custody.is_staged(request.run_id):
            return True
        if not custody.is_forgotten(request):
            return False
        return end_of(self._store, request, self._log_parts.effects) is not None

    def _accept_one(self, custody: Custody, record: Record, request: RunRequest) -> None:
        deployment = self._deployment(request)
        if deployment is None:
            message = f"version {request.version} of {request.flow} is in no deployment"
            self._give_up(custody, record, "unknown-deployment", message)
            return
        accepted = RunRecord(
            run_id=request.run_id,
            epoch=1,
            runner_id=self._presence.runner_id,
            request=request,
            accepted_at=self._clock.now(),
        )
        custody.stage_start(accepted, lambda: self._begin(accepted, deployment))

    def _begin(self, record: RunRecord, deployment: Deployment) -> None:
        self._metrics.accepted.inc()
        causes = record.request.causes
        if causes:
            waited = record.accepted_at - max(cause.at for cause in causes)
            self._metrics.event_to_run.observe(max(0.0, waited.total_seconds()))
        self._slots.take(record, deployment)

    def _deployment(self, request: RunRequest) -> Deployment | None:
        return self._parts.deployments.find(request.namespace, request.flow, request.version)

    def _decoded(self, custody: Custody, record: Record) -> object | None:
        try:
            return self._log_parts.decoder.decode(record.value)
        except UndecodableRecord as error:
            self._give_up(custody, record, error.reason, str(error))
            return None

    def _give_up(self, custody: Custody, record: Record, reason: str, message: str) -> None:
        self._metrics.dead_letters.labels(reason).inc()
        _log.warning("record.given-up", reason=reason, message=message, topic=record.topic)
        custody.stage_dead_letter(record, reason=reason, message=message)

    # -- writing ---------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Commit every partition that has something to say, all in parallel.

        Raises:
            BusUnreachable: committed or not, the restore will see; the others are settled.
        """
        failure: BaseException | None = None
        for custody, error in commit_all(tuple(self._custodies.values())):
            if error is None:
                self._log_parts.effects.faults.reach("runner.committed")
                custody.committed()
                continue
            self._again(custody.assignment)
            if isinstance(error, Fenced):
                self._metrics.refused_commits.inc()
            elif not isinstance(error, Retriable):
                failure = failure or error
        if failure is not None:
            raise failure

    def _report(self) -> None:
        """Tell the custodians of other partitions about runs that ended here."""
        ended = [each.record for each in self._slots.ended()]
        elsewhere = [each for each in ended if self._is_elsewhere(each.run_id)]
        report(self._log_parts, self._presence.runner_id, elsewhere, is_released=False)
        for record in elsewhere:
            self._slots.release(record.run_id)

    def _release(self, records: Iterable[RunRecord]) -> None:
        """Give up what was stopped: its next runner begins at once, not after the lease."""
        for record in records:
            custody = self._custodies.get(self._partition_of(record.run_id))
            if custody is None:
                report(self._log_parts, self._presence.runner_id, [record], is_released=True)
            elif custody.has_open(record) and not custody.is_staged(record.run_id):
                custody.stage(replace(record, runner_id=""))

    def _is_elsewhere(self, run_id: str) -> bool:
        """Whether another runner is the custodian of a run."""
        partition = self._partition_of(run_id)
        return partition not in self._custodies and partition not in self._unrestored

    def _may_have_ended(self, run_id: str) -> bool:
        """Whether a run that is executed here may have the end of another custodian: the one that
        its partition has, or had before it came back."""
        custody = self._custodies.get(self._partition_of(run_id))
        return run_id in custody.ended if custody else self._is_elsewhere(run_id)

    def _partition_of(self, run_id: str) -> int:
        return partition_of(run_id.encode(), self._log_parts.topics.run_partitions)

    def _regulate(self) -> None:
        """Read requests only while there is room."""
        has_room = self._slots.free > 0 and not self._is_draining
        for custody in self._custodies.values():
            with suppress(Fenced):  # the next poll says that it is lost
                custody.regulate(has_room=has_room)
        self._metrics.partitions.set(len(self._custodies))
        self._metrics.running.set(self._slots.count - self._slots.free)
        for where, lag in self._consumer.lag.items():
            if where.topic == self._log_parts.topics.run_requests:
                self._metrics.lag.labels(str(where.partition)).set(lag)
