"""Which tasks of a run can start, and when it is over: pure functions of its graph.

A `Schedule` is a value: what happens to a task gives the next one. A failed task lets the tasks
that run beside it end, and nothing else start. Tasks of this version: one a step, `0`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from eventflow.model.completion import Outcome
from eventflow.model.graph import END, START, StepKind
from eventflow.model.task import RunEnd, TaskKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.model.graph import FlowGraph, StepNode

__all__ = ["Ready", "Schedule"]

_EXECUTABLE = frozenset({StepKind.LINEAR, StepKind.SPLIT, StepKind.END})


@dataclass(frozen=True, slots=True)
class Ready:
    """A step that can start, with the attempts that lead to it in the order of the graph."""

    step: str
    inputs: tuple[TaskKey, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How far a run has come: the steps that run, the attempts that succeeded, why it fails."""

    graph: FlowGraph
    running: frozenset[str] = frozenset()
    finished: Mapping[str, TaskKey] = field(default_factory=dict)
    failure: str = ""

    @classmethod
    def begin(cls, graph: FlowGraph, finished: Mapping[str, TaskKey]) -> Schedule:
        """The schedule of a run of which `finished` has been done by an earlier epoch."""
        odd = [node for node in graph.steps if node.kind not in _EXECUTABLE]
        failure = f"Step {odd[0].name} cannot be executed: a {odd[0].kind.value}." if odd else ""
        return cls(graph, finished=finished, failure=failure)

    def ready(self) -> tuple[Ready, ...]:
        """The steps that can start now, in the order of the graph."""
        if self.failure:
            return ()
        ready = (self._ready(node) for node in self.graph.steps)
        return tuple(each for each in ready if each is not None)

    def started(self, step: str) -> Schedule:
        """An attempt of `step` runs."""
        return replace(self, running=self.running | {step})

    def succeeded(self, key: TaskKey, next_steps: tuple[str, ...]) -> Schedule:
        """An attempt succeeded and went to `next_steps`: where its graph says, or the run fails."""
        expected = self.graph.step(key.step).next_steps
        if set(next_steps) != set(expected):
            return self.failed(key, f"it went to {_names(next_steps)}, not to {_names(expected)}")
        return replace(
            self,
            running=self.running - {key.step},
            finished={**self.finished, key.step: key},
        )

    def failed(self, key: TaskKey, reason: str) -> Schedule:
        """An attempt did not succeed. The first failure is the reason of the run's."""
        return replace(
            self,
            running=self.running - {key.step},
            failure=self.failure or f"Step {key.step} failed: {reason}",
        )

    @property
    def end(self) -> RunEnd | None:
        """How the run ended; None while a task runs or can start."""
        if self.running or self.ready():
            return None
        if self.failure:
            return self.ended(Outcome.FAILED, self.failure)
        if END in self.finished:
            return self.ended(Outcome.SUCCEEDED, "")
        return self.ended(Outcome.FAILED, "No step can start, and the end was not reached.")

    def ended(self, outcome: Outcome, reason: str) -> RunEnd:
        """That end, with the attempts that count."""
        manifest = {f"{key.step}/{key.task}": key for key in self.finished.values()}
        return RunEnd(outcome, reason, manifest)

    def _ready(self, node: StepNode) -> Ready | None:
        if node.name in self.running or node.name in self.finished:
            return None
        parents = self.graph.parents(node.name)
        inputs = tuple(self.finished[parent] for parent in parents if parent in self.finished)
        is_led_to = bool(inputs) or node.name == START
        return Ready(node.name, inputs) if is_led_to and len(inputs) == len(parents) else None


def _names(steps: tuple[str, ...]) -> str:
    return ", ".join(steps) or "no step"
