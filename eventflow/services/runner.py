"""The runner: takes run requests, executes them, and brings each to its one end.

Flow: `run-requests[p]` → accept (a committed RunRecord) → execute in a slot → `end.json` →
completion. It is the custodian of the partitions that its consumer group gives it, and executes
runs of others' partitions to their end when a partition moves. Guaranteed: each request is
accepted once, each run has one end and one completion, whoever dies (docs/protocols.md §6).

It has no threads: `step` does what can be done now. It never imports user code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    UndecodableRecord,
)
from eventflow.model.completion import Outcome
from eventflow.model.log import partition_of
from eventflow.model.presence import WhyTakeOver
from eventflow.model.run import RunRecord, RunReport, RunRequest
from eventflow.model.task import RunEnd
from eventflow.services.custody import Custody, Standing
from eventflow.store.runs import EndFile, finished_tasks, place_of, read_end, write_end

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.bus.deployment_log import DeploymentLog
    from eventflow.bus.port import Assignment, Poll
    from eventflow.metrics import RunnerMetrics
    from eventflow.model.deployment import Deployment
    from eventflow.model.log import Record
    from eventflow.services.log_parts import LogParts
    from eventflow.services.presence import Presence
    from eventflow.services.slots import Execution, Slots
    from eventflow.services.task_states import TaskStates
    from eventflow.settings import RunnerSettings
    from eventflow.store.port import Store

__all__ = ["FAULT_POINTS", "GROUP", "Runner", "RunnerParts"]

GROUP = "runner"
FAULT_POINTS = (
    "runner.acquired",
    "runner.restored",
    "runner.appended",
    "runner.committed",
    "runner.code-unpacked",
    "runner.beginning-written",
    "runner.deciding",
    "runner.end-decided",
    "runner.marked-successful",
    "runner.reported",
    "runner.said-gone",
)

_log = structlog.get_logger(__name__)
_TICK = timedelta(milliseconds=2)
_NO_WAIT = timedelta()
_REFENCE = timedelta(seconds=1)
_HOURLY = timedelta(hours=1)
_FETCH = 64
_AWAY = (StoreUnreachable, StoreForbidden, BucketMissing)


@dataclass(frozen=True, slots=True)
class RunnerParts:
    """The connected objects of a runner."""

    log: LogParts
    store: Store
    deployments: DeploymentLog
    presence: Presence
    slots: Slots
    task_states: TaskStates
    settings: RunnerSettings
    metrics: RunnerMetrics


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
        self._is_draining = False
        self._forget_at = self._clock.elapsed() + _HOURLY
        self._metrics.slots.set(self._slots.count)

    @property
    def is_drained(self) -> bool:
        """Whether it executes nothing (any more)."""
        return not self._slots.working

    def drain(self) -> None:
        """Accept and take over nothing from now on."""
        self._is_draining = True

    def step(self, timeout: timedelta) -> None:
        """Do what can be done now; wait up to `timeout` for something to do.

        Raises:
            BusUnreachable: nothing is lost; call it again.
        """
        self._mind_the_lease()
        self._presence.tick(self._slots.working)
        is_busy = self._slots.is_executing
        self._take_in(self._consumer.poll(_NO_WAIT if is_busy else timeout, limit=_FETCH))
        self._restore()
        self._slots.advance(_TICK if is_busy else _NO_WAIT)
        self._conclude()
        self._forget()
        self._commit()
        self._report()
        self._regulate()
        self._parts.task_states.flush()

    def close(self) -> None:
        """Stop all tasks, release the runs, say goodbye, leave the group."""
        for execution in self._slots.ended():
            self._finish(execution)
        self._report()
        self._release()
        self._slots.stop_all()
        self._commit()
        self._presence.leave()
        self._consumer.close()

    # -- the lease -------------------------------------------------------------------------------

    def _mind_the_lease(self) -> None:
        if not self._presence.has_lapsed:
            return
        _log.warning("runner.lapsed", runner_id=self._presence.runner_id)
        self._metrics.lapses.inc()
        self._slots.stop_all()
        self._presence.renew()

    # -- partitions ------------------------------------------------------------------------------

    def _take_in(self, poll: Poll) -> None:
        for assignment in poll.lost:
            self._custodies.pop(assignment.partition, None)
            self._unrestored.pop(assignment.partition, None)
        for assignment in poll.assigned:
            self._unrestored[assignment.partition] = (assignment, _NO_WAIT)
        for where, records in poll.records.items():
            custody = self._custodies.get(where.partition)
            if custody is not None:
                custody.take_in(where.topic, records)

    def _restore(self) -> None:
        now = self._clock.elapsed()
        for partition, (assignment, not_before) in tuple(self._unrestored.items()):
            if not assignment.is_live:
                del self._unrestored[partition]
            elif now >= not_before:
                self._restore_one(assignment)

    def _restore_one(self, assignment: Assignment) -> None:
        custody = Custody(self._log_parts, assignment)
        try:
            custody.restore()
        except (Fenced, BusBusy):
            self._again(assignment)
            return
        del self._unrestored[assignment.partition]
        self._custodies[assignment.partition] = custody

    def _again(self, assignment: Assignment) -> None:
        """Restore a partition anew, unless it is lost: at most once a second (§2)."""
        self._custodies.pop(assignment.partition, None)
        self._unrestored[assignment.partition] = (assignment, self._clock.elapsed() + _REFENCE)

    # -- what follows ----------------------------------------------------------------------------

    def _conclude(self) -> None:
        for execution in self._slots.ended():
            self._finish(execution)
        room = 0 if self._is_draining or self._presence.has_lapsed else self._slots.free
        for custody in self._custodies.values():
            try:
                self._read_reports(custody)
                room -= self._take_overs(custody, room)
                room -= self._accept(custody, room)
            except _AWAY as error:
                # What was staged is committed; the rest waits in its queue for the store.
                _log.warning("store.away", error=str(error))

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
            self._stage_end(custody, record, end)

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
            report = self._decoded(custody, record)
            if isinstance(report, RunReport):
                self._heed(custody, report)
            custody.reports.popleft()
            custody.stage_read(record)

    def _heed(self, custody: Custody, report: RunReport) -> None:
        standing = custody.open.get(report.run_id)
        if standing is None or custody.is_staged(report.run_id):
            return
        if report.is_released:
            if standing.record.epoch == report.epoch:
                custody.stage(replace(standing.record, runner_id=""), _nothing)
            return
        end = read_end(self._store, place_of(standing.record.request))
        if end is not None:
            self._slots.stop(report.run_id)
            self._stage_end(custody, standing.record, end)

    def _forget(self) -> None:
        """Remove what nobody can ask for any more, now and then."""
        if self._clock.elapsed() < self._forget_at:
            return
        self._forget_at = self._clock.elapsed() + _HOURLY
        for custody in self._custodies.values():
            custody.stage_forgetting()
        self._presence.sweep()

    # -- take-overs ------------------------------------------------------------------------------

    def _take_overs(self, custody: Custody, room: int) -> int:
        taken = 0
        for standing in custody.open_runs():
            if taken >= room:
                break
            why = self._why_take_over(custody, standing)
            if why is not None:
                taken += self._take_over(custody, standing.record, why)
        return taken

    def _why_take_over(self, custody: Custody, standing: Standing) -> WhyTakeOver | None:
        record = standing.record
        if self._slots.executes(record.run_id, record.epoch) or custody.is_staged(record.run_id):
            return None
        if record.runner_id == self._presence.runner_id:
            return WhyTakeOver.NOT_LISTED
        return self._presence.why_take_over(record, standing.written_at)

    def _take_over(self, custody: Custody, record: RunRecord, why: WhyTakeOver) -> int:
        """Go on with a run; how many slots that takes."""
        place = place_of(record.request)
        end = read_end(self._store, place)
        if end is not None:
            self._metrics.recovered.inc()
            self._stage_end(custody, record, end)
            return 0
        deployment = self._deployment(record.request)
        taken = self._next_epoch(record, why, finished_tasks(self._store, place))
        hopeless = self._why_hopeless(taken, deployment)
        if hopeless is not None or deployment is None:
            self._stage_end(custody, record, self._fail(record, hopeless or ""))
            return 0
        self._stage_take_over(custody, taken, deployment, why)
        return 1

    def _stage_take_over(
        self, custody: Custody, record: RunRecord, deployment: Deployment, why: WhyTakeOver
    ) -> None:
        def then() -> None:
            self._metrics.take_overs.labels(why.value).inc()
            _log.info("run.taken-over", run_id=record.run_id, epoch=record.epoch, why=why.value)
            self._slots.take(record, deployment)

        custody.stage(record, then)

    def _next_epoch(self, record: RunRecord, why: WhyTakeOver, finished: int) -> RunRecord:
        stalled = 0 if finished > record.finished_tasks else record.stalled_take_overs
        return replace(
            record,
            epoch=record.epoch + 1,
            runner_id=self._presence.runner_id,
            stalled_take_overs=stalled + (1 if why.is_silence else 0),
            finished_tasks=finished,
        )

    def _why_hopeless(self, record: RunRecord, deployment: Deployment | None) -> str | None:
        if deployment is None:
            return f"version {record.request.version} of {record.request.flow} is not deployed"
        if record.stalled_take_overs > self._parts.settings.max_take_overs:
            return (
                f"its runner died {record.stalled_take_overs} times in a row without finishing"
                " a task; look for what kills it (memory?) and run it again by hand"
            )
        return None

    def _fail(self, record: RunRecord, reason: str) -> EndFile:
        return write_end(
            self._store,
            place_of(record.request),
            RunEnd(Outcome.FAILED, reason, {}),
            epoch=record.epoch,
            at=self._clock.now(),
            nonce=self._log_parts.effects.ids.token(),
        )

    # -- requests --------------------------------------------------------------------------------

    def _accept(self, custody: Custody, room: int) -> int:
        accepted = 0
        while custody.requests and accepted < room:
            record = custody.requests[0]
            request = self._decoded(custody, record)
            if isinstance(request, RunRequest) and not self._is_known(custody, request):
                accepted += self._accept_one(custody, record, request)
            custody.requests.popleft()
            custody.stage_read(record)
        return accepted

    def _is_known(self, custody: Custody, request: RunRequest) -> bool:
        if custody.knows(request.run_id) or custody.is_staged(request.run_id):
            return True
        if not custody.is_forgotten(request):
            return False
        return read_end(self._store, place_of(request)) is not None

    def _accept_one(self, custody: Custody, record: Record, request: RunRequest) -> int:
        deployment = self._deployment(request)
        if deployment is None:
            message = f"version {request.version} of {request.flow} is in no deployment"
            self._give_up(custody, record, "unknown-deployment", message)
            return 0
        accepted = RunRecord(
            run_id=request.run_id,
            epoch=1,
            runner_id=self._presence.runner_id,
            request=request,
            accepted_at=self._clock.now(),
        )
        custody.stage(accepted, lambda: self._begin(accepted, deployment))
        return 1

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
        """Commit every partition that has something to say, all in parallel."""
        started = []
        for custody in tuple(self._custodies.values()):
            if not custody.has_staged:
                continue
            try:
                started.append((custody, custody.commit()))
            except Fenced:
                self._refused(custody)
        for custody, future in started:
            try:
                future.result()
            except Fenced:
                self._refused(custody)
            except BusBusy:
                self._again(custody.assignment)
            except BusUnreachable:
                # Committed or not: the restore will see.
                self._again(custody.assignment)
                raise
            else:
                self._log_parts.effects.faults.reach("runner.committed")
                custody.committed()

    def _refused(self, custody: Custody) -> None:
        self._metrics.refused_commits.inc()
        self._again(custody.assignment)

    def _report(self) -> None:
        """Tell the custodians of other partitions about runs that ended here."""
        elsewhere = [
            each
            for each in self._slots.ended()
            if self._partition_of(each.record.run_id) not in self._mine()
        ]
        self._publish_reports(elsewhere, is_released=False)
        for execution in elsewhere:
            self._slots.release(execution.record.run_id)

    def _release(self) -> None:
        """Give up what still runs: its next runner begins at once, not after the lease."""
        for execution in self._slots.unfinished():
            record = execution.record
            custody = self._custodies.get(self._partition_of(record.run_id))
            if custody is None:
                self._publish_reports([execution], is_released=True)
            else:
                custody.stage(replace(record, runner_id=""), _nothing)

    def _publish_reports(self, executions: Iterable[Execution], *, is_released: bool) -> None:
        reports = [
            RunReport(each.record.run_id, each.record.epoch, self._presence.runner_id, is_released)
            for each in executions
        ]
        if reports:
            codec = self._log_parts.codec
            self._log_parts.bus.publish([codec.new_record(report) for report in reports])
            self._log_parts.effects.faults.reach("runner.reported")

    def _mine(self) -> set[int]:
        return self._custodies.keys() | self._unrestored.keys()

    def _partition_of(self, run_id: str) -> int:
        return partition_of(run_id.encode(), self._log_parts.topics.run_partitions)

    def _regulate(self) -> None:
        """Read requests only while there is room, reports always."""
        requests = self._log_parts.topics.run_requests
        has_room = self._slots.free > 0 and not self._is_draining
        for custody in self._custodies.values():
            if custody.requests or not has_room:
                custody.assignment.pause(requests)
            else:
                custody.assignment.resume(requests)
        self._metrics.partitions.set(len(self._custodies))
        self._metrics.running.set(self._slots.count - self._slots.free)
        for where, lag in self._consumer.lag.items():
            if where.topic == requests:
                self._metrics.lag.labels(str(where.partition)).set(lag)


def _nothing() -> None:
    """After a commit that nothing follows from."""
