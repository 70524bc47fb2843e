"""The driver of one run: from its graph to its end, one task after the other and side by side.

Flow: `begin` starts the first tasks → `task_ended` for each end that the executor reports starts
the next ones, or the next attempt of a failed one → `end` says how the run ended. What can start
is decided in `model/schedule`; this is what makes it happen. It has no threads, never waits for
a task, and writes nothing to the store: whoever drives it decides the end of the run
(`store.runs.write_end`), and calls `tick` now and then for attempts that have to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.execution.reuse import take_up
from eventflow.model.completion import Outcome
from eventflow.model.graph import StepKind
from eventflow.model.run import WAITING, RunState, TaskState
from eventflow.model.schedule import Schedule
from eventflow.model.task import TaskKey, TaskPlan
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.effects import Effects
    from eventflow.execution.port import Executor
    from eventflow.model.policy import StepPolicy
    from eventflow.model.schedule import Ready
    from eventflow.model.task import RunEnd, RunPlan, TaskEnd
    from eventflow.store.port import Store

__all__ = ["DEFAULT_LIMITS", "FAULT_POINTS", "RunDriver", "RunLimits"]

FAULT_POINTS = ("driver.begun", "driver.task-started", "driver.task-ended")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How many tasks of a run are at work at once, gangs not counted, and how many tasks one
    foreach may open."""

    max_workers: int = 16
    max_num_splits: int = 10_000


DEFAULT_LIMITS = RunLimits()


class RunDriver:
    """Drives one execution (a run in an epoch). `end` is None until it has ended."""

    def __init__(
        self,
        plan: RunPlan,
        executor: Executor,
        store: Store,
        effects: Effects,
        *,
        limits: RunLimits = DEFAULT_LIMITS,
        on_task_state: Callable[[TaskState], None] | None = None,
    ) -> None:
        self._plan, self._executor = plan, executor
        self._store, self._effects = store, effects
        self._limits, self._on_task_state = limits, on_task_state
        self._schedule = Schedule.begin(plan.graph, limits.max_num_splits)
        self._at_work: dict[TaskKey, TaskPlan] = {}
        self._in_gangs: set[TaskKey] = set()
        self._waiting: list[tuple[timedelta, TaskPlan]] = []
        self._cancelled: RunEnd | None = None
        self._is_stopping = False

    @property
    def end(self) -> RunEnd | None:
        """How the run ended; None while it has not."""
        return self._cancelled or self._schedule.end

    @property
    def finished_tasks(self) -> int:
        """How many tasks have succeeded, those of earlier epochs included."""
        return len(self._schedule.finished)

    def begin(self, *, reuse: bool = False) -> None:
        """Start what can start. With `reuse`, tasks whose artifacts stand are not run again; when
        reading them fails, nothing has been started, and `begin` may be repeated.

        Raises:
            StoreUnreachable, StoreForbidden, BucketMissing, CorruptObject: reading them failed.
        """
        if reuse:
            schedule = Schedule.begin(self._plan.graph, self._limits.max_num_splits)
            take_up(schedule, self._store, place_of(self._plan.request))
            self._schedule = schedule
        self._executor.warm(self._plan)
        self._effects.faults.reach("driver.begun")
        self._start_ready()

    def task_ended(self, end: TaskEnd) -> None:
        """Take note of an end that the executor reported, and start what follows."""
        task = self._at_work.pop(end.key, None)
        self._in_gangs.discard(end.key)
        if self._cancelled is not None or task is None:
            return
        if end.outcome is Outcome.SUCCEEDED:
            self._schedule.succeeded(end.key, end.next_steps, end.splits)
        elif not self._is_stopping and not self._goes_on(task, end):
            self._schedule.failed(end.key, end.reason)
        if self._schedule.failure:
            self._give_up_waiting()
        self._effects.faults.reach("driver.task-ended")
        self._tell(end.key, end.outcome.value)
        self._start_ready()

    def tick(self) -> None:
        """Start the attempts whose time has come, as far as there is room."""
        now = self._effects.clock.elapsed()
        for waiting in [each for each in self._waiting if each[0] <= now]:
            if self._has_room or self._is_in_gang(waiting[1]):
                self._waiting.remove(waiting)
                self._start(waiting[1])

    def stop(self) -> None:
        """Start nothing more; what runs may end."""
        self._is_stopping = True
        self._waiting.clear()

    @property
    def is_at_work(self) -> bool:
        """Whether an attempt runs."""
        return bool(self._at_work)

    def cancel(self, reason: str) -> None:
        """End the run as cancelled, with what has finished; its tasks are killed."""
        if self.end is not None:
            return
        self._executor.kill(self._plan.request.run_id, self._plan.epoch)
        for key in self._at_work:
            self._tell(key, Outcome.CANCELLED.value)
        self._cancelled = self._schedule.ended(Outcome.CANCELLED, reason)
        self._at_work.clear()
        self._in_gangs.clear()
        self._waiting.clear()

    def _goes_on(self, task: TaskPlan, end: TaskEnd) -> bool:
        """Whether a task goes on after an attempt that failed: with another one, or caught."""
        policy, key = self._policy(task.key), task.key
        if self._schedule.failure or task.failure:
            return False
        following = replace(task, key=replace(key, attempt=key.attempt + 1))
        if key.attempt < policy.retries and not end.is_final:
            wait = timedelta(seconds=policy.wait_before(key.attempt + 1))
            self._waiting.append((self._effects.clock.elapsed() + wait, following))
            if wait:
                self._tell(following.key, WAITING, after=wait)
            return True
        if policy.is_caught:
            self._start(replace(following, failure=end.reason))
        return policy.is_caught

    def _give_up_waiting(self) -> None:
        """The run fails: what waits for another attempt has failed for good."""
        for _, task in self._waiting:
            self._schedule.failed(task.key, "the run had failed")
        self._waiting.clear()

    @property
    def _has_room(self) -> bool:
        return len(self._at_work) - len(self._in_gangs) < self._limits.max_workers

    def _is_in_gang(self, task: TaskPlan) -> bool:
        """Whether others may wait for it: those of a gang are at work at the same time."""
        if not task.items or task.inputs != (task.items[-1].opened_by,):
            return False
        return self._plan.graph.step(task.inputs[0].step).kind is StepKind.PARALLEL

    def _start_ready(self) -> None:
        if self._is_stopping:
            return
        self.tick()
        while (ready := self._schedule.peek()) is not None:
            if not self._has_room and not ready.is_in_gang:
                break
            self._schedule.take()
            self._start(self._plan_of(ready))

    def _plan_of(self, ready: Ready) -> TaskPlan:
        key = TaskKey(self._plan.epoch, ready.step, ready.task)
        return TaskPlan(self._plan, key, ready.inputs, ready.items)

    def _start(self, task: TaskPlan) -> None:
        self._at_work[task.key] = task
        if self._is_in_gang(task):
            self._in_gangs.add(task.key)
        self._executor.start(task)
        self._effects.faults.reach("driver.task-started")
        self._tell(task.key, RunState.RUNNING.value)

    def _policy(self, key: TaskKey) -> StepPolicy:
        return self._plan.graph.step(key.step).how

    def _tell(self, key: TaskKey, state: str, *, after: timedelta = timedelta()) -> None:
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
                at=self._effects.clock.now() + after,
            )
        )
