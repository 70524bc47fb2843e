"""What follows a step, by how its `self.next(…)` is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.graph import StepKind

if TYPE_CHECKING:
    from eventflow.authoring.source import StepSource

__all__ = ["kind_of"]


def kind_of(step: StepSource, end: str) -> StepKind:
    """The kind of a step in a flow that ends with `end`; a guess where the step has mistakes."""
    if step.name == end or not step.next_calls:
        return StepKind.END
    call = step.next_calls[0]
    if call.cases is not None or "condition" in call.options:
        return StepKind.SWITCH
    if "foreach" in call.options:
        return StepKind.FOREACH
    if "num_parallel" in call.options:
        return StepKind.PARALLEL
    return StepKind.SPLIT if len(set(call.targets)) > 1 else StepKind.LINEAR
