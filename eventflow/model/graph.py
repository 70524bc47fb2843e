"""The graph of a flow, as the deploying process saw it: no user code is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FlowGraph", "StepKind", "StepNode"]

START = "start"
END = "end"


class StepKind(StrEnum):
    """What follows a step. `foreach`, `parallel` and `switch` are carried, not yet executed."""

    LINEAR = "linear"
    SPLIT = "split"
    FOREACH = "foreach"
    PARALLEL = "parallel"
    SWITCH = "switch"
    END = "end"


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step. `next_steps` in the order written; `is_join` when it takes `inputs`."""

    name: str
    kind: StepKind
    next_steps: tuple[str, ...]
    is_join: bool
    line: int
    doc: str = ""
    foreach: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """The steps of a flow in the order of the file; `file` is relative to the code package."""

    flow: str
    file: str
    doc: str
    steps: tuple[StepNode, ...]

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
