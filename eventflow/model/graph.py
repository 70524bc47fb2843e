"""The graph of a flow, as the deploying process saw it: no user code is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from eventflow.model.policy import NO_POLICY

if TYPE_CHECKING:
    from eventflow.model.policy import StepPolicy

__all__ = ["END", "START", "ExitHooks", "FlowGraph", "StepKind", "StepNode"]

START = "start"
END = "end"


class StepKind(StrEnum):
    """What follows a step: one step, several side by side, one task an item of an artifact, a
    gang of tasks, one of several by the value of an artifact, or nothing."""

    LINEAR = "linear"
    SPLIT = "split"
    FOREACH = "foreach"
    PARALLEL = "parallel"
    SWITCH = "switch"
    END = "end"


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step. `next_steps` in the order written; `is_join` when it takes `inputs`.

    `foreach` is the artifact whose items the next step runs over. `condition` is the artifact
    whose value chooses among `next_steps`; `cases` are these values, as JSON text. Of a PARALLEL
    step the number of tasks is said when it runs. `policy` is None without decorators.
    """

    name: str
    kind: StepKind
    next_steps: tuple[str, ...]
    is_join: bool
    line: int
    doc: str = ""
    foreach: str | None = None
    condition: str | None = None
    cases: tuple[str, ...] = ()
    policy: StepPolicy | None = None

    @property
    def how(self) -> StepPolicy:
        """Its policy, that of a step without decorators where it has none."""
        return self.policy or NO_POLICY


@dataclass(frozen=True, slots=True)
class ExitHooks:
    """The functions that are called when a run has ended, by name: of the flow's file, or with
    the module before it. `on_error` is for a run that failed or was cancelled."""

    on_success: tuple[str, ...] = ()
    on_error: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """The steps of a flow in the order of the file; `file` is relative to the code package.

    `start` and `end` are the steps that it begins and ends with; they may be one. `exit_hooks`
    is None without any.
    """

    flow: str
    file: str
    doc: str
    steps: tuple[StepNode, ...]
    start: str = START
    end: str = END
    exit_hooks: ExitHooks | None = None

    def step(self, name: str) -> StepNode:
        """The step of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.steps:
            if node.name == name:
                return node
        raise KeyError(name)

    def parents(self, name: str) -> tuple[str, ...]:
        """The steps that lead to `name`, in the order of the file."""
        return tuple(node.name for node in self.steps if name in node.next_steps)
