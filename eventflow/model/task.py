"""Tasks: one execution of a step within a run, and what its driver and its process say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.model.completion import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from eventflow.model.graph import FlowGraph
    from eventflow.model.run import RunRequest

__all__ = ["Item", "RunEnd", "RunPlan", "TaskEnd", "TaskKey", "TaskPlan"]


@dataclass(frozen=True, slots=True, order=True)
class TaskKey:
    """One attempt of one task. `task` is its position in the graph: `0`, or `0-3-1` for foreach
    indices, outermost first, with `.1` behind it when a loop comes to the step for the second
    time; never a counter of the run. Attempts count from 0, epochs from 1."""

    epoch: int
    step: str
    task: str = "0"
    attempt: int = 0

    @property
    def path(self) -> str:
        """Below the root of its run: `e1/train/0/0`."""
        return f"e{self.epoch}/{self.step}/{self.task}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run to execute. `code_root` is the folder with the code, `code_file` the flow's file in it.

    By hand, `request.version` is 0 and `request.causes` is empty unless it was given a trigger.
    """

    request: RunRequest
    graph: FlowGraph
    code_root: str
    code_file: str
    epoch: int

    @property
    def project(self) -> str:
        """The project of its namespace."""
        return self.request.namespace.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Item:
    """One level of the foreach, or of the gang, that a task is in: the attempt that opened it,
    which of its items, from 0, and of how many."""

    opened_by: TaskKey
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task to execute.

    `inputs` are the attempts that lead to it, in the order of the graph; `items` the levels of
    foreach around it, outermost first. With `failure` all attempts have failed of that, and what
    is left is to go on as `@catch` says, without running the step.
    """

    run: RunPlan
    key: TaskKey
    inputs: tuple[TaskKey, ...]
    items: tuple[Item, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """An attempt ended. SUCCEEDED means: its artifacts.json stands. `reason` says otherwise why,
    in one line; the traceback is in its stderr. `splits` is how many tasks a foreach opens. What
    failed and `is_final` would fail again however often it is repeated."""

    run_id: str
    key: TaskKey
    outcome: Outcome
    next_steps: tuple[str, ...]
    reason: str
    ended_at: datetime
    splits: int = 0
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a driver concludes of a run. `manifest`: step and task (`train/0`) → the attempt that
    counts."""

    outcome: Outcome
    reason: str
    manifest: Mapping[str, TaskKey]
