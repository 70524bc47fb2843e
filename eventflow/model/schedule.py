"""Which tasks of a run can start, and when it is over: a state machine over its graph, pure.

A task that succeeded leads to others. Where its step splits, each branch remembers the split it
came from, and which branch it is; the join of a split starts when all its branches have come. So
the names of tasks, and what they read, follow from the graph and from what the tasks before them
said, in whatever order these end: another epoch finds the same ones. A failed task lets those
that run beside it end, and nothing else start.

It is changed in place: with 10,000 tasks in a foreach, a new value for each would be too much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.model.completion import Outcome
from eventflow.model.graph import StepKind
from eventflow.model.task import Item, RunEnd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.model.graph import FlowGraph, StepNode
    from eventflow.model.task import TaskKey

__all__ = ["Ready", "Schedule"]

_ROOT = "0"
_FANS_OUT = frozenset({StepKind.FOREACH, StepKind.PARALLEL})


@dataclass(frozen=True, slots=True)
class _Branch:
    """A branch of a split that is not joined yet. `split` is the task that split, `came_from`
    where it was itself."""

    split: tuple[str, str]
    index: int
    count: int
    came_from: _Place


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the run a task is: `frame` is the name of its tasks, `items` the levels of foreach
    around it, `branches` the open splits, both outermost first."""

    frame: str = _ROOT
    items: tuple[Item, ...] = ()
    branches: tuple[_Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A task that can start, with the attempts that lead to it in the order of the graph.

    The tasks of a gang run at the same time or not at all: `is_in_gang`.
    """

    step: str
    task: str
    inputs: tuple[TaskKey, ...]
    place: _Place
    is_in_gang: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """The levels of foreach around it."""
        return self.place.items


@dataclass(slots=True)
class _FanOut:
    """The tasks of a foreach that were not asked for yet: made one by one."""

    step: str
    opened_by: TaskKey
    place: _Place
    count: int
    is_gang: bool
    next_index: int = 0


@dataclass(slots=True)
class Schedule:
    """How far a run has come: `finished` has the attempts that succeeded, by `step/task`. A run of
    which a task opens more than `max_num_splits` others fails there."""

    graph: FlowGraph
    finished: dict[str, TaskKey] = field(default_factory=dict)
    failure: str = ""
    max_num_splits: int | None = None
    _nodes: dict[str, StepNode] = field(default_factory=dict)
    _waiting: deque[Ready | _FanOut] = field(default_factory=deque)
    _running: dict[tuple[str, str], _Place] = field(default_factory=dict)
    _visits: dict[tuple[str, str], int] = field(default_factory=dict)
    _joins: dict[tuple[str, tuple[str, str]], dict[int, TaskKey]] = field(default_factory=dict)
    _is_at_end: bool = False

    @classmethod
    def begin(cls, graph: FlowGraph, max_num_splits: int | None = None) -> Schedule:
        """The schedule of a run of which nothing is done."""
        schedule = cls(graph, max_num_splits=max_num_splits)
        schedule._nodes = {node.name: node for node in graph.steps}
        schedule._wait(graph.start, (), _Place())
        return schedule

    @property
    def running(self) -> tuple[tuple[str, str], ...]:
        """(step, task) of what was taken and has not ended."""
        return tuple(self._running)

    def peek(self) -> Ready | None:
        """The task that `take` gives next; None when none can start now."""
        if self.failure or not self._waiting:
            return None
        first = self._waiting[0]
        return first if isinstance(first, Ready) else self._next_of(first)

    def take(self) -> Ready | None:
        """The next task that can start, which counts as running from now on."""
        ready = self.peek()
        if ready is None:
            return None
        first = self._waiting[0]
        if isinstance(first, _FanOut):
            first.next_index += 1
            self._visits[ready.step, ready.task] = 1  # nobody was in this frame before
        if not isinstance(first, _FanOut) or first.next_index == first.count:
            self._waiting.popleft()
        self._running[ready.step, ready.task] = ready.place
        return ready

    def give_back(self, tasks: tuple[Ready, ...]) -> None:
        """Let tasks that were taken be taken again, in their order, before all others."""
        for ready in tasks:
            del self._running[ready.step, ready.task]
        self._waiting.extendleft(reversed(tasks))

    def allows(self, step: str, next_steps: tuple[str, ...], splits: int) -> bool:
        """Whether a task of the step may have gone to these steps, by its graph."""
        node = self._nodes[step]
        if node.kind is StepKind.SWITCH:
            return len(next_steps) == 1 and next_steps[0] in node.next_steps
        is_fan_out = node.kind in _FANS_OUT
        return set(next_steps) == set(node.next_steps) and is_fan_out == (splits > 0)

    def succeeded(self, key: TaskKey, next_steps: tuple[str, ...], splits: int = 0) -> None:
        """An attempt succeeded and went to `next_steps`: where its graph says, or the run fails.
        It fails too when that opens too many tasks, but then the attempt counts as finished."""
        node = self._nodes[key.step]
        if not self.allows(key.step, next_steps, splits):
            self.failed(key, f"it went to {_names(next_steps)}, not to {_names(node.next_steps)}")
            return
        place = self._running.pop((key.step, key.task))
        self.finished[f"{key.step}/{key.task}"] = key
        self._is_at_end = self._is_at_end or node.name == self.graph.end
        if self.max_num_splits is not None and splits > self.max_num_splits:
            self.failure = self.failure or _too_many(key, splits, self.max_num_splits)
        elif node.kind in _FANS_OUT:
            gang = node.kind is StepKind.PARALLEL
            self._waiting.append(_FanOut(next_steps[0], key, place, splits, gang))
        elif node.kind is StepKind.SPLIT:
            for index, step in enumerate(node.next_steps):
                self._arrive(step, key, _branch(place, key, index, len(node.next_steps)))
        else:
            for step in next_steps:
                self._arrive(step, key, place)

    def failed(self, key: TaskKey, reason: str) -> None:
        """A task did not succeed. The first failure is the reason of the run's."""
        self._running.pop((key.step, key.task), None)
        self.failure = self.failure or f"Step {_shown(key)} failed: {reason}"

    @property
    def end(self) -> RunEnd | None:
        """How the run ended; None while a task runs or can start."""
        if self._running or self.peek() is not None:
            return None
        if self.failure:
            return self.ended(Outcome.FAILED, self.failure)
        if self._is_at_end:
            return self.ended(Outcome.SUCCEEDED, "")
        return self.ended(Outcome.FAILED, "No step can start, and the end was not reached.")

    def ended(self, outcome: Outcome, reason: str) -> RunEnd:
        """That end, with the attempts that count."""
        manifest: Mapping[str, TaskKey] = dict(self.finished)
        return RunEnd(outcome, reason, manifest)

    def _next_of(self, fan: _FanOut) -> Ready:
        index, split = fan.next_index, fan.opened_by
        inner = _branch(fan.place, split, index, fan.count)
        place = _Place(
            frame=f"{split.task}-{index}",
            items=(*inner.items, Item(split, index, fan.count)),
            branches=inner.branches,
        )
        return Ready(fan.step, place.frame, (split,), place, fan.is_gang)

    def _arrive(self, step: str, key: TaskKey, place: _Place) -> None:
        if not self._nodes[step].is_join:
            self._wait(step, (key,), place)
            return
        branch = place.branches[-1]
        came = self._joins.setdefault((step, branch.split), {})
        came[branch.index] = key
        if len(came) == branch.count:
            del self._joins[step, branch.split]
            inputs = tuple(came[index] for index in range(branch.count))
            self._wait(step, inputs, branch.came_from)

    def _wait(self, step: str, inputs: tuple[TaskKey, ...], place: _Place) -> None:
        visit = self._visits.get((step, place.frame), 0)
        self._visits[step, place.frame] = visit + 1
        task = f"{place.frame}.{visit}" if visit else place.frame
        self._waiting.append(Ready(step, task, inputs, place))


def _branch(place: _Place, split: TaskKey, index: int, count: int) -> _Place:
    branch = _Branch((split.step, split.task), index, count, place)
    return _Place(place.frame, place.items, (*place.branches, branch))


def _shown(key: TaskKey) -> str:
    return key.step if key.task == _ROOT else f"{key.step}/{key.task}"


def _too_many(key: TaskKey, splits: int, most: int) -> str:
    return (
        f"Step {_shown(key)} opens {splits} tasks, and at most {most} are allowed: raise"
        " --max-num-splits (for runners EVENTFLOW_RUNNER__MAX_NUM_SPLITS), or have fewer items. A"
        " resumed run does not repeat the step"
    )


def _names(steps: tuple[str, ...]) -> str:
    return ", ".join(steps) or "no step"
