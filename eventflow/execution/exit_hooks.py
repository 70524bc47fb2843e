"""The exit hooks of one run: called when its end stands, one after the other.

Each is a task of a step of its own, in a process of its own; it changes nothing of the end. Those
that an earlier epoch called and that returned are not called again, so each is called at least
once, however often whoever calls them dies, unless the hook fails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from eventflow.model.completion import Outcome
from eventflow.model.graph import StepKind, StepNode
from eventflow.model.policy import StepPolicy
from eventflow.model.task import TaskKey, TaskPlan
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.execution.port import Executor
    from eventflow.model.graph import FlowGraph
    from eventflow.model.run import RunRequest
    from eventflow.model.task import RunPlan, TaskEnd
    from eventflow.store.port import Store

__all__ = ["EXIT_HOOK", "HookDriver", "hooks_of", "hooks_owed"]

EXIT_HOOK: Final = "exit-hook"
"""The step of their tasks; no step of a flow can have the name."""

_PATIENCE_S = 300.0
_NODE = StepNode(
    EXIT_HOOK, StepKind.END, (), is_join=False, line=0, policy=StepPolicy(timeout_s=_PATIENCE_S)
)


def hooks_of(graph: FlowGraph, outcome: Outcome) -> tuple[str, ...]:
    """The functions to call after that outcome, in their order."""
    hooks = graph.exit_hooks
    if hooks is None:
        return ()
    return hooks.on_success if outcome is Outcome.SUCCEEDED else hooks.on_error


def hooks_owed(
    store: Store, request: RunRequest, graph: FlowGraph, outcome: Outcome, epoch: int
) -> tuple[int, ...]:
    """Which of these functions have not returned in any epoch up to this one; by their number."""
    place = place_of(request)

    def has_returned(number: int) -> bool:
        keys = (TaskKey(each, EXIT_HOOK, str(number)) for each in range(1, epoch + 1))
        return any(store.info(place.artifacts(key)) is not None for key in keys)

    numbers = range(len(hooks_of(graph, outcome)))
    return tuple(each for each in numbers if not has_returned(each))


class HookDriver:
    """Calls the hooks of a run whose end stands; `is_done` when the last has ended."""

    def __init__(self, plan: RunPlan, executor: Executor, numbers: Iterable[int]) -> None:
        """`numbers` are those of the hooks to call, among those of the outcome of the run."""
        graph = replace(plan.graph, steps=(*plan.graph.steps, _NODE))
        self._plan, self._executor = replace(plan, graph=graph), executor
        self._waiting = iter(numbers)
        self._running: TaskKey | None = None

    @property
    def is_done(self) -> bool:
        """Whether no hook runs, and none waits; only after `begin`."""
        return self._running is None

    def begin(self) -> None:
        """Call the first one."""
        self._next()

    def task_ended(self, end: TaskEnd) -> None:
        """One has ended, well or not: call the next one."""
        if end.key == self._running:
            self._next()

    def _next(self) -> None:
        number = next(self._waiting, None)
        self._running = None
        if number is not None:
            self._running = TaskKey(self._plan.epoch, EXIT_HOOK, str(number))
            self._executor.start(TaskPlan(self._plan, self._running, ()))
