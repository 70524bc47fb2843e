"""The steps that a flow begins and ends with: by their names, or marked by `@step`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.authoring.members import settles, steps_of
from eventflow.authoring.step import mark_of
from eventflow.errors import FlowProblem
from eventflow.model.graph import END, START

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventflow.authoring.source import Place, StepSource
    from eventflow.authoring.step import StepMark

__all__ = ["FlowEnds", "ends_of", "ends_problems"]

FlowEnds = tuple[str, str]
"""The first step and the last one; of a flow of one step they are the same."""


@settles
def ends_of(flow_class: type) -> FlowEnds:
    """The first and the last step, also where they are missing: then `start` and `end`."""
    marks = _marks(flow_class)
    if len(marks) == 1:
        (only,) = marks
        return only, only
    start = next((name for name, mark in marks.items() if mark.is_start), START)
    end = next((name for name, mark in marks.items() if mark.is_end), END)
    return start, end


def ends_problems(
    flow_class: type, steps: Mapping[str, StepSource], place: Place
) -> Iterator[FlowProblem]:
    """What is wrong with where a flow begins and ends; `place` is that of the class."""
    marks = _marks(flow_class)
    for what, usual, names in (
        ("start", START, [name for name, mark in marks.items() if mark.is_start]),
        ("end", END, [name for name, mark in marks.items() if mark.is_end]),
    ):
        for name in names[1:]:
            yield _at(steps[name], f"@step({what}=True) stands on {names[0]!r} too: keep one.")
        if names and usual in marks and usual not in names:
            yield _at(
                steps[usual],
                f"The flow has a step {usual!r}, and @step({what}=True) on {names[0]!r}: rename"
                " the one or take the mark from the other.",
            )
        if steps and not names and usual not in marks and len(marks) > 1:
            yield FlowProblem(
                f"The flow has no step {usual!r}: write one, or mark a step with"
                f" @step({what}=True).",
                *place,
            )


def _marks(flow_class: type) -> dict[str, StepMark]:
    marks = {name: mark_of(function) for name, function in steps_of(flow_class).items()}
    return {name: mark for name, mark in marks.items() if mark is not None}


def _at(step: StepSource, message: str) -> FlowProblem:
    return FlowProblem(message, step.file, step.line)
