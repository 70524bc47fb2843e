"""A driver at work on an executor that a test plays: it says how each attempt ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventflow.effects import Effects
from eventflow.execution.driver import DEFAULT_LIMITS, RunDriver, RunLimits
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest, TaskState
from eventflow.model.task import Item, RunPlan, TaskEnd, TaskKey, TaskPlan
from eventflow.store.artifacts import TaskRecord, write_task
from eventflow.store.runs import place_of
from tests.support.hand_clock import HandClock

if TYPE_CHECKING:
    from eventflow.model.policy import StepPolicy
    from eventflow.store.port import Store

__all__ = ["NOW", "Driven", "Started", "finish", "graph", "node", "plan_of"]

NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


class Started:
    """An executor that starts nothing."""

    def __init__(self) -> None:
        self.tasks: list[TaskPlan] = []
        self.killed: list[tuple[str, int]] = []

    def warm(self, run: RunPlan) -> None:
        pass

    def start(self, task: TaskPlan) -> None:
        self.tasks.append(task)

    def poll(self, timeout: timedelta) -> Sequence[TaskEnd]:  # noqa: ARG002 - the port has it
        return ()

    def interrupt(self, run_id: str, epoch: int) -> None:
        pass

    def kill(self, run_id: str, epoch: int) -> None:
        self.killed.append((run_id, epoch))

    def close(self) -> None:
        pass

    @property
    def steps(self) -> list[str]:
        """The steps of what was started, in order."""
        return [task.key.step for task in self.tasks]

    @property
    def paths(self) -> list[str]:
        """`step/task/attempt` of what was started, in order."""
        return [task.key.path.partition("/")[2] for task in self.tasks]


def node(
    name: str,
    *following: str,
    kind: StepKind | None = None,
    joins: bool = False,
    policy: StepPolicy | None = None,
) -> StepNode:
    """A step; its kind is guessed of how many follow it."""
    guess = {0: StepKind.END, 1: StepKind.LINEAR}.get(len(following), StepKind.SPLIT)
    return StepNode(name, kind or guess, following, is_join=joins, line=1, policy=policy)


def graph(*nodes: StepNode) -> FlowGraph:
    """A flow that begins with the first step and ends with the last."""
    return FlowGraph("F", "f.py", "", nodes, nodes[0].name, nodes[-1].name)


def plan_of(flow: FlowGraph, epoch: int = 1) -> RunPlan:
    """A run of that flow."""
    request = RunRequest(
        run_id="r" + "a" * 20,
        namespace="shop/prod",
        flow=flow.flow,
        version=3,
        parameters={},
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=NOW,
    )
    return RunPlan(request, flow, "/code", flow.file, epoch)


def finish(
    store: Store,
    plan: RunPlan,
    key: TaskKey,
    *inputs: TaskKey,
    to: tuple[str, ...] | None = None,
    splits: int = 0,
    items: tuple[Item, ...] = (),
) -> TaskKey:
    """Leave what an attempt that succeeded leaves."""
    following = plan.graph.step(key.step).next_steps if to is None else to
    record = TaskRecord(key, {}, following, (), NOW, NOW, inputs, splits, items)
    write_task(store, place_of(plan.request), record, nonce=key.path)
    return key


@dataclass
class Driven:
    """A driver; `clock` moves when the test moves it."""

    plan: RunPlan
    store: Store
    limits: RunLimits = DEFAULT_LIMITS
    executor: Started = field(default_factory=Started)
    clock: HandClock = field(default_factory=HandClock)
    states: list[TaskState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.driver = RunDriver(
            self.plan,
            self.executor,
            self.store,
            Effects(clock=self.clock),
            limits=self.limits,
            on_task_state=self.states.append,
        )

    def succeeds(self, path: str, *, to: tuple[str, ...] | None = None, splits: int = 0) -> None:
        """An attempt, `step/task/attempt`, ends well; it goes where its graph says."""
        key = self._key(path)
        following = self.plan.graph.step(key.step).next_steps if to is None else to
        run_id = self.plan.request.run_id
        self.driver.task_ended(TaskEnd(run_id, key, Outcome.SUCCEEDED, following, "", NOW, splits))

    def fails(
        self, path: str, reason: str = "ValueError: no rows", *, is_final: bool = False
    ) -> None:
        """An attempt fails."""
        run_id, key = self.plan.request.run_id, self._key(path)
        end = TaskEnd(run_id, key, Outcome.FAILED, (), reason, NOW, is_final=is_final)
        self.driver.task_ended(end)

    def _key(self, path: str) -> TaskKey:
        step, task, attempt = path.split("/")
        return TaskKey(self.plan.epoch, step, task, int(attempt))
