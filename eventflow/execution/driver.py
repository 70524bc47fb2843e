"""The driver of one run: from its graph to its end, one task after the other and side by side.

Flow: `begin` starts the first tasks → `task_ended` for each end that the executor reports starts
the next ones → `end` says how the run ended. What can start is decided in `model/schedule`; this
is what makes it happen. It has no threads, never waits for a task, and writes nothing to the
store: whoever drives it decides the end of the run (`store.runs.write_end`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.execution.reuse import finished_attempts
from eventflow.model.completion import Outcome
from eventflow.model.run import RunState, TaskState
from eventflow.model.schedule import Schedule
from eventflow.model.task import TaskKey, TaskPlan
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.effects import Effects
    from eventflow.execution.port import Executor
    from eventflow.model.schedule import Ready
    from eventflow.model.task import RunEnd, RunPlan, TaskEnd
    from eventflow.store.port import Store

__all__ = ["FAULT_POINTS", "RunDriver"]

FAULT_POINTS = ("driver.begun", "driver.task-started", "driver.task-ended")


class RunDriver:
    """Drives one execution (a run in an epoch). `end` is None until it has ended."""

    def __init__(
        self,
        plan: RunPlan,
        executor: Executor,
        store: Store,
        effects: Effects,
        *,
        on_task_state: Callable[[TaskState], None] | None = None,
    ) -> None:
        self._plan, self._executor = plan, executor
        self._store, self._effects = store, effects
        self._on_task_state = on_task_state
        self._schedule = Schedule.begin(plan.graph, {})
        self._cancelled: RunEnd | None = None

    @property
    def end(self) -> RunEnd | None:
        """How the run ended; None while it has not."""
        return self._cancelled or self._schedule.end

    @property
    def finished_tasks(self) -> int:
        """How many tasks have succeeded, those of earlier epochs included."""
        return len(self._schedule.finished)

    def begin(self, *, reuse: bool = False) -> None:
        """Start what can start. With `reuse`, tasks that an earlier epoch finished are not run
        again; when reading them fails, nothing has been started, and `begin` may be repeated.

        Raises:
            StoreUnreachable, StoreForbidden, BucketMissing, CorruptObject: reading them failed.
        """
        if reuse:
            place = place_of(self._plan.request)
            finished = finished_attempts(self._store, place, self._plan.graph)
            self._schedule = Schedule.begin(self._plan.graph, finished)
        self._executor.warm(self._plan)
        self._effects.faults.reach("driver.begun")
        self._start_ready()

    def task_ended(self, end: TaskEnd) -> None:
        """Take note of an end that the executor reported, and start what follows."""
        if self._cancelled is not None or end.key.step not in self._schedule.running:
            return
        if end.outcome is Outcome.SUCCEEDED:
            self._schedule = self._schedule.succeeded(end.key, end.next_steps)
        else:
            self._schedule = self._schedule.failed(end.key, end.reason)
        self._effects.faults.reach("driver.task-ended")
        self._tell(end.key, end.outcome.value)
        self._start_ready()

    def cancel(self, reason: str) -> None:
        """End the run as cancelled, with what has finished; its tasks are killed."""
        if self.end is not None:
            return
        self._executor.kill(self._plan.request.run_id, self._plan.epoch)
        for step in self._schedule.running:
            self._tell(TaskKey(self._plan.epoch, step), Outcome.CANCELLED.value)
        self._cancelled = self._schedule.ended(Outcome.CANCELLED, reason)

    def _start_ready(self) -> None:
        for ready in self._schedule.ready():
            self._start(ready)

    def _start(self, ready: Ready) -> None:
        key = TaskKey(self._plan.epoch, ready.step)
        self._schedule = self._schedule.started(ready.step)
        self._executor.start(TaskPlan(self._plan, key, ready.inputs))
        self._effects.faults.reach("driver.task-started")
        self._tell(key, RunState.RUNNING.value)

    def _tell(self, key: TaskKey, state: str) -> None:
        if self._on_task_state is None:
            return
        request = self._plan.request
        self._on_task_state(
            TaskState(
                namespace=request.namespace,
                flow=request.flow,
                run_id=request.run_id,
                epoch=key.epoch,
                step=key.step,
                task=key.task,
                attempt=key.attempt,
                state=state,
                at=self._effects.clock.now(),
            )
        )
