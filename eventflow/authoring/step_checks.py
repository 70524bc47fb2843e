"""Mistakes that show in one step alone: its name, its arguments, its `self.next(…)`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventflow.authoring.flow_ends import ends_of
from eventflow.authoring.flow_spec import RESERVED_NAMES
from eventflow.authoring.members import constants_of, parameters_of
from eventflow.errors import FlowProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.authoring.source import NextCall, StepSource

__all__ = ["is_broken", "step_problems"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_FORMS = ("foreach", "num_parallel", "condition")


def step_problems(flow_class: type, steps: Sequence[StepSource]) -> Iterator[FlowProblem]:
    """The mistakes of each step, taken alone."""
    names = frozenset(step.name for step in steps)
    start, end = ends_of(flow_class)
    for step in steps:
        if step.arguments is None:
            yield _at(step, f"The source of step {step.name!r} cannot be read; keep it in a file.")
            continue
        yield from _name_problems(step)
        yield from _argument_problems(step, start)
        yield from _next_problems(flow_class, step, names, end)
        yield from _assignment_problems(flow_class, step, names)


def is_broken(step: StepSource, names: frozenset[str], end: str) -> bool:
    """Whether what follows the step cannot be known from what is written."""
    calls = step.next_calls
    if step.arguments is None or len(calls) != (step.name != end):
        return True
    return any(
        not set(call.targets) <= names or not call.targets or bool([*_form_mistakes(call)])
        for call in calls
    )


def _name_problems(step: StepSource) -> Iterator[FlowProblem]:
    if step.name in RESERVED_NAMES:
        yield _at(step, f"A step cannot be called {step.name!r}: the name is taken. Rename it.")
    elif not _NAME.fullmatch(step.name):
        yield _at(
            step,
            f"A step cannot be called {step.name!r}: use letters, digits and '_',"
            " and a letter first.",
        )


def _argument_problems(step: StepSource, start: str) -> Iterator[FlowProblem]:
    arguments = step.arguments or ()
    if not step.is_plain or len(arguments) not in (1, 2):
        yield _at(
            step,
            f"Step {step.name!r} has to be a plain method def {step.name}(self), or"
            f" def {step.name}(self, inputs) for a join: no further arguments, no defaults,"
            " no async, no yield.",
        )
    elif step.name == start and step.takes_inputs:
        yield _at(step, f"Step {start!r} has no inputs: write def {start}(self).")


def _next_problems(
    flow_class: type, step: StepSource, names: frozenset[str], end: str
) -> Iterator[FlowProblem]:
    calls = step.next_calls
    if step.name == end:
        or_else = ", or write the step that it names" if len(names) == 1 else ""
        for call in calls:
            yield _at(step, f"Step {end!r} is the last: remove its self.next(…){or_else}.", call)
        return
    if not calls:
        yield _at(
            step,
            f"Step {step.name!r} is a dead end: finish it with self.next(self.<step>).",
        )
    elif len(calls) > 1:
        yield _at(
            step,
            f"Step {step.name!r} calls self.next {len(calls)} times: call it once, as the last"
            " statement. To choose between steps write self.next({value: self.<step>, …},"
            " condition='<artifact>').",
            calls[1],
        )
    elif not calls[0].is_last:
        yield _at(
            step,
            f"self.next has to be the last statement of step {step.name!r}, outside of any"
            " block: move it there.",
            calls[0],
        )
    for call in calls:
        yield from _call_problems(flow_class, step, call, names)


def _call_problems(
    flow_class: type, step: StepSource, call: NextCall, names: frozenset[str]
) -> Iterator[FlowProblem]:
    for mistake in _form_mistakes(call):
        yield _at(step, mistake, call)
    if not call.targets:
        yield _at(step, "self.next() names no step: write self.next(self.<step>).", call)
    for target, written in zip(call.targets, call.written, strict=True):
        if target is None:
            yield _at(step, f"self.next takes steps as self.<step>, not {written}.", call)
        elif target not in names:
            yield _at(step, _unknown(flow_class, target), call)
    if call.cases is not None:
        return  # several cases may lead to one step
    for target in sorted({each for each in call.targets if call.targets.count(each) > 1 and each}):
        yield _at(step, f"self.next names {target!r} twice: name each step once.", call)


def _form_mistakes(call: NextCall) -> Iterator[str]:
    """What is wrong with how the keywords of a call go together."""
    unknown = [f"{name}=" for name in call.options if name not in _FORMS]
    if unknown:
        yield f"self.next does not know {', '.join(unknown)}: remove it."
    forms = [name for name in call.options if name in _FORMS]
    if len(forms) > 1:
        yield f"self.next takes one of {', '.join(f'{name}=' for name in forms)}: keep one."
    elif forms and forms[0] != "num_parallel" and not call.option(forms[0]):
        yield f"{forms[0]}= takes the name of an artifact, written as a string: {forms[0]}='items'."
    gang = call.options.get("num_parallel")
    if gang is not None and (not isinstance(gang, int) or gang < 1):
        yield f"num_parallel= takes a number of tasks from 1, not {gang!r}."
    if "condition" in forms and call.cases is None:
        yield (
            "condition= chooses among the steps of a dict: write"
            " self.next({value: self.<step>, …}, condition='<artifact>')."
        )
    elif call.cases is not None and "condition" not in forms:
        yield "self.next with a dict needs condition='<artifact>': its value chooses the step."
    elif forms and "condition" not in forms and len(call.targets) > 1:
        yield f"{forms[0]}= leads to one step: name one."


def _unknown(flow_class: type, target: str) -> str:
    if callable(getattr(flow_class, target, None)) and target not in RESERVED_NAMES:
        return f"{target!r} is a method but no step: put @step above it."
    return f"There is no step {target!r}: write it, or name another in self.next."


def _assignment_problems(
    flow_class: type, step: StepSource, names: frozenset[str]
) -> Iterator[FlowProblem]:
    kinds = {
        **dict.fromkeys(RESERVED_NAMES, "taken by FlowSpec"),
        **dict.fromkeys(names, "a step"),
        **dict.fromkeys(parameters_of(flow_class), "a parameter, the same in every step"),
        **dict.fromkeys(constants_of(flow_class), "a constant, the same in every step"),
    }
    for name, line in step.assigned:
        if name in kinds:
            message = f"self.{name} cannot be set: it is {kinds[name]}. Use another name."
            yield FlowProblem(message, step.file, line)


def _at(step: StepSource, message: str, call: NextCall | None = None) -> FlowProblem:
    return FlowProblem(message, step.file, call.line if call else step.line)
