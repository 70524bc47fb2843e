"""The runs that this runner executes: from an accepted record to an `end.json`.

Flow: `take` a RunRecord whose acceptance is committed → its beginning is written → its driver
runs its tasks → its end is decided. It then waits, with `end` set, until its custodian has
published it and calls `release`. No step waits for user code; a store that is away is tried
again, the tasks go on meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from eventflow.errors import (
    AuthorError,
    BucketMissing,
    OperatorError,
    StoreForbidden,
    StoreUnreachable,
    UndecodableRecord,
)
from eventflow.execution.code import unpack
from eventflow.execution.driver import DEFAULT_LIMITS, RunDriver
from eventflow.execution.exit_hooks import HookDriver, hooks_of, hooks_owed
from eventflow.model.completion import Outcome
from eventflow.model.run import Working
from eventflow.model.task import RunEnd, RunPlan
from eventflow.services.ends import decide_end, end_of
from eventflow.store.causes import causes_of
from eventflow.store.runs import EndFile, RunFile, mark_successful, write_beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventflow.effects import Effects
    from eventflow.execution.driver import RunLimits
    from eventflow.execution.port import Executor
    from eventflow.metrics import RunnerMetrics
    from eventflow.model.deployment import Deployment
    from eventflow.model.run import Cause, RunRecord, RunRequest, TaskState
    from eventflow.model.task import TaskEnd
    from eventflow.store.port import Store

__all__ = ["AWAY", "Execution", "Slots"]

_log = structlog.get_logger(__name__)
_RETRY = timedelta(milliseconds=500)
_NO_WAIT = timedelta()
AWAY = (StoreUnreachable, StoreForbidden, BucketMissing)
"""The store cannot be asked now: the same step comes again."""


@dataclass(slots=True)
class Execution:
    """A run in a slot. `driver` is None until its first task can start; `decided` until its end
    stands, `end` until its exit hooks have been called too."""

    record: RunRecord
    deployment: Deployment
    nonce: str
    driver: RunDriver | None = None
    stillborn: RunEnd | None = None
    decided: EndFile | None = None
    hooks: HookDriver | None = None
    end: EndFile | None = None
    not_before: timedelta = timedelta()

    @property
    def request(self) -> RunRequest:
        """What it executes."""
        return self.record.request

    @property
    def concluded(self) -> RunEnd | None:
        """What this execution concludes, before it is decided."""
        if self.stillborn is not None:
            return self.stillborn
        return self.driver.end if self.driver is not None else None


class Slots:
    """Room for so many runs at once."""

    def __init__(
        self,
        count: int,
        *,
        store: Store,
        executor: Executor,
        cache: Path,
        effects: Effects,
        metrics: RunnerMetrics,
        on_task_state: Callable[[TaskState], None],
        limits: RunLimits = DEFAULT_LIMITS,
    ) -> None:
        self.count = count
        self._limits = limits
        self._store, self._executor, self._cache = store, executor, cache
        self._effects, self._metrics, self._on_task_state = effects, metrics, on_task_state
        self._executions: dict[str, Execution] = {}

    @property
    def free(self) -> int:
        """Slots without a run."""
        return self.count - len(self._executions)

    @property
    def is_executing(self) -> bool:
        """Whether tasks may be running."""
        return bool(self.unfinished())

    @property
    def working(self) -> tuple[Working, ...]:
        """What a heartbeat lists."""
        return tuple(
            Working(run_id, each.record.epoch) for run_id, each in self._executions.items()
        )

    def ended(self) -> Iterator[Execution]:
        """Runs with an `end.json`, to be published and released."""
        return (each for each in tuple(self._executions.values()) if each.end is not None)

    def unfinished(self) -> tuple[Execution, ...]:
        """Runs without an `end.json` by this runner."""
        return tuple(each for each in self._executions.values() if each.end is None)

    def executes(self, run_id: str, epoch: int) -> bool:
        """Whether this epoch of a run is in a slot here."""
        execution = self._executions.get(run_id)
        return execution is not None and execution.record.epoch == epoch

    def take(self, record: RunRecord, deployment: Deployment) -> None:
        """Execute a run; its record is committed."""
        self.stop(record.run_id)  # an earlier epoch of it that goes on here still
        nonce = self._effects.ids.token()
        self._executions[record.run_id] = Execution(record, deployment, nonce)

    def release(self, run_id: str) -> None:
        """Its end is published, or reported to its custodian."""
        execution = self._executions.get(run_id)
        if execution is not None and execution.end is None:
            self.stop(run_id)  # somebody else's end was published
        else:
            self._executions.pop(run_id, None)

    def cancel(self, run_id: str, reason: str) -> Execution | None:
        """End a run that is in a slot here as cancelled, and decide that at once, unless its end
        is decided already. None when it is in none. It goes on as others: exit hooks, release.

        Raises:
            StoreUnreachable, StoreForbidden, BucketMissing: nothing is decided; its tasks are
                stopped all the same. Call it again.
        """
        execution = self._executions.get(run_id)
        if execution is None or execution.decided is not None:
            return execution
        if execution.driver is not None:
            execution.driver.cancel(reason)
        elif execution.stillborn is None:
            execution.stillborn = RunEnd(Outcome.CANCELLED, reason, {})
        self._decide(execution)
        return execution

    def adopt(self, execution: Execution, end: EndFile) -> None:
        """Stop the tasks of a run whose end somebody else has decided; it goes on as others."""
        if execution.driver is not None:
            execution.driver.cancel(end.reason)
        self._is_decided(execution, end)

    def stop(self, run_id: str) -> None:
        """Stop an execution that has no meaning any more; nothing of it is decided."""
        execution = self._executions.pop(run_id, None)
        if execution is not None and (execution.driver or execution.hooks):
            self._executor.kill(run_id, execution.record.epoch)

    def stop_unfinished(self) -> list[RunRecord]:
        """Stop what has not ended: this runner's lease is over, or it leaves. What has ended
        waits for its release still: a decided end is told, however late."""
        stopped = [each.record for each in self.unfinished()]
        for record in stopped:
            self.stop(record.run_id)
        return stopped

    def close(self) -> None:
        """Stop everything, and let go of what executes tasks."""
        self.stop_unfinished()
        self._executor.close()

    def advance(self, timeout: timedelta, is_late: Callable[[], bool]) -> None:
        """Begin what was taken, collect what ended, decide what is concluded.

        Once `is_late`, no further run is begun or decided in this call: each may wait for the
        store.
        """
        self._try_each(self._taken(), self._begin, is_late)
        for end in self._executor.poll(_NO_WAIT if self._concluded() else timeout):
            self._task_ended(end)
        for execution in self.unfinished():
            if execution.driver is not None:
                execution.driver.tick()
        self._try_each(self._concluded(), self._decide, is_late)
        self._try_each(self._decided(), self._call_hooks, is_late)

    def _taken(self) -> list[Execution]:
        """What has no driver yet, and can be tried now."""
        return [each for each in self._due() if each.driver is None and each.stillborn is None]

    def _concluded(self) -> list[Execution]:
        """What has come to its end, and can be decided now."""
        return [each for each in self._due() if each.decided is None and each.concluded is not None]

    def _decided(self) -> list[Execution]:
        """What has its end, and hooks that nobody has called yet."""
        return [
            each
            for each in self._due()
            if each.decided is not None and each.end is None and each.hooks is None
        ]

    def _due(self) -> Iterator[Execution]:
        now = self._effects.clock.elapsed()
        return (each for each in self._executions.values() if now >= each.not_before)

    def _try_each(
        self,
        executions: Iterable[Execution],
        step: Callable[[Execution], None],
        is_late: Callable[[], bool],
    ) -> None:
        for execution in executions:
            self._trying(execution, step)
            if is_late():
                break

    def _trying(self, execution: Execution, step: Callable[[Execution], None]) -> None:
        try:
            step(execution)
        except (*AWAY, OSError) as error:
            # Nothing is decided while the store is away, or this machine's disk is full: the
            # same step comes again.
            _log.warning("run.waiting", run_id=execution.record.run_id, error=str(error))
            execution.not_before = self._effects.clock.elapsed() + _RETRY

    def _begin(self, execution: Execution) -> None:
        if execution.record.epoch > 1 and self._already_ended(execution):
            return
        try:
            plan = self._plan(execution)
            self._write_beginning(execution, plan.request.causes)
            driver = self._driver(plan)
            driver.begin(reuse=execution.record.epoch > 1)
        except AWAY:
            raise
        except (AuthorError, OperatorError, UndecodableRecord) as error:
            execution.stillborn = RunEnd(Outcome.FAILED, _one_line(error), {})
            return
        execution.driver = driver

    def _already_ended(self, execution: Execution) -> bool:
        end = end_of(self._store, execution.request, self._effects)
        if end is not None:
            execution.stillborn = RunEnd(end.outcome, end.reason, end.manifest)
        return end is not None

    def _plan(self, execution: Execution) -> RunPlan:
        request, deployment = execution.request, execution.deployment
        code = deployment.code
        project = request.namespace.partition("/")[0]
        root = unpack(self._store, project, code, self._cache)
        self._effects.faults.reach("runner.code-unpacked")
        causes = causes_of(self._store, request)
        return RunPlan(
            request=replace(request, causes=causes),
            graph=deployment.graph,
            code_root=str(root),
            code_file=code.file,
            epoch=execution.record.epoch,
        )

    def _readable_causes(self, execution: Execution) -> tuple[Cause, ...]:
        try:
            return causes_of(self._store, execution.request)
        except AWAY:
            raise
        except (OperatorError, UndecodableRecord):
            return ()

    def _write_beginning(self, execution: Execution, causes: tuple[Cause, ...]) -> None:
        deployment = execution.deployment
        run = RunFile(execution.request, deployment.graph, deployment.code.digest)
        write_beginning(self._store, run, causes)
        self._effects.faults.reach("runner.beginning-written")

    def _driver(self, plan: RunPlan) -> RunDriver:
        return RunDriver(
            plan,
            self._executor,
            self._store,
            self._effects,
            limits=self._limits,
            on_task_state=self._on_task_state,
        )

    def _task_ended(self, end: TaskEnd) -> None:
        self._metrics.tasks.labels(end.outcome.value).inc()
        execution = self._executions.get(end.run_id)
        if execution is None or execution.record.epoch != end.key.epoch:
            return
        if execution.hooks is not None:
            self._hook_ended(execution, execution.hooks, end)
        elif execution.driver is not None:
            execution.driver.task_ended(end)

    def _decide(self, execution: Execution) -> None:
        concluded = execution.concluded
        assert concluded is not None
        if execution.driver is None:  # nothing of it was begun, maybe; it can be found all the same
            self._write_beginning(execution, self._readable_causes(execution))
        self._effects.faults.reach("runner.deciding")
        end = decide_end(
            self._store, execution.record, concluded, self._effects, nonce=execution.nonce
        )
        self._effects.faults.reach("runner.end-decided")
        if end.outcome is Outcome.SUCCEEDED:
            mark_successful(self._store, execution.request)
            self._effects.faults.reach("runner.marked-successful")
        self._is_decided(execution, end)

    def _is_decided(self, execution: Execution, end: EndFile) -> None:
        execution.decided = end
        if not hooks_of(execution.deployment.graph, end.outcome):
            execution.end = end

    def _call_hooks(self, execution: Execution) -> None:
        """Call the exit hooks of a run whose end stands; it is told when the last has ended."""
        end, graph = execution.decided, execution.deployment.graph
        assert end is not None
        epoch = execution.record.epoch
        owed = hooks_owed(self._store, execution.request, graph, end.outcome, epoch)
        try:
            plan = self._plan(execution)
        except AWAY:
            raise
        except (AuthorError, OperatorError, UndecodableRecord) as error:
            _log.warning("run.hooks-left-out", run_id=execution.record.run_id, error=str(error))
            execution.end = end
            return
        execution.hooks = HookDriver(plan, self._executor, owed)
        execution.hooks.begin()
        if execution.hooks.is_done:
            execution.end = end

    def _hook_ended(self, execution: Execution, hooks: HookDriver, end: TaskEnd) -> None:
        if end.outcome is not Outcome.SUCCEEDED:
            run_id = execution.record.run_id
            _log.warning("run.hook-failed", run_id=run_id, hook=end.key.task, error=end.reason)
        hooks.task_ended(end)
        if hooks.is_done:
            execution.end = execution.decided


def _one_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
