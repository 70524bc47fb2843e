"""Mistakes in the decorators of a flow's steps, each where the decorator stands."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from eventflow.authoring.decorator import declarations_of, notes_of
from eventflow.authoring.flow_spec import RESERVED_NAMES
from eventflow.authoring.members import constants_of, parameters_of, steps_of
from eventflow.authoring.step import is_step
from eventflow.errors import FlowProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.source import StepSource

__all__ = ["decorator_problems", "inline_secret_problems"]

_UNKNOWN_AFTER_FAILURE = {"foreach": "a foreach", "num_parallel": "a gang", "condition": "a choice"}


def decorator_problems(flow_class: type, steps: Sequence[StepSource]) -> Iterator[FlowProblem]:
    """Every mistake in what stands on the steps, and decorators on what is no step."""
    for name, method in inspect.getmembers(flow_class, inspect.isfunction):
        if not is_step(method):
            for note in notes_of(method):
                message = f"@{note.name} stands on {name!r}, which is no step: add @step."
                yield FlowProblem(message, *note.place)
    for step in steps:
        declarations = declarations_of(flow_class, step.name)
        for each in declarations:
            for message in each.mistakes:
                yield _at(each, message)
        yield from _repetitions(step, declarations)
        for each in declarations:
            if each.name == "catch" and not each.mistakes:
                yield from _catch_problems(flow_class, step, each)
            if each.name == "parallel" and not each.mistakes:
                yield from _gang_problems(steps, step, each)


def inline_secret_problems(flow_class: type) -> Iterator[FlowProblem]:
    """What keeps a flow from being deployed: its package is kept, and would have the secrets."""
    for name in steps_of(flow_class):
        for each in declarations_of(flow_class, name):
            sources = each.attributes["sources"] if each.name == "secrets" else ()
            if any(isinstance(one, dict) and one.get("type") == "inline" for one in sources):
                yield _at(
                    each,
                    f"Step {name!r} has inline secrets, which would be kept with its code: have"
                    " them in a file of the runner, in its environment, or in a secrets manager.",
                )


def _repetitions(step: StepSource, declarations: Sequence[Declaration]) -> Iterator[FlowProblem]:
    seen: set[object] = set()
    for each in declarations:
        is_card = each.name == "card"
        what = (each.name, each.attributes["id"]) if is_card else each.name
        if what in seen:
            more = ": give each an id of its own" if is_card else ": remove one"
            yield _at(each, f"Step {step.name!r} has @{each.name} twice{more}.")
        seen.add(what)


def _catch_problems(
    flow_class: type, step: StepSource, declaration: Declaration
) -> Iterator[FlowProblem]:
    options = [each for call in step.next_calls for each in call.options]
    for option in options:
        if option in _UNKNOWN_AFTER_FAILURE:
            yield _at(
                declaration,
                f"@catch cannot stand on {step.name!r}, which begins"
                f" {_UNKNOWN_AFTER_FAILURE[option]}: after a failure nobody knows what follows."
                " Put it on the steps after it.",
            )
    var = declaration.attributes["var"]
    why = None if var is None else _why_not(flow_class, var)
    if why:
        yield _at(declaration, f"@catch(var={var!r}): {why}.")


def _gang_problems(
    steps: Sequence[StepSource], step: StepSource, declaration: Declaration
) -> Iterator[FlowProblem]:
    if any(each.arguments is None for each in steps):
        return  # a step that cannot be read may be the one that starts the gang
    ways = [
        (before.name, call)
        for before in steps
        for call in before.next_calls
        if step.name in call.targets
    ]
    plain = [name for name, call in ways if "num_parallel" not in call.options]
    if plain or not ways:
        yield _at(
            declaration,
            f"@parallel stands on {step.name!r}, which is no gang"
            + (f" after {', '.join(plain)}" if plain else "")
            + f": write self.next(self.{step.name}, num_parallel=…) before it, or remove it.",
        )


def _why_not(flow_class: type, name: str) -> str | None:
    if not name.isidentifier() or name.startswith("_"):
        return "this is no name of an artifact"
    kinds = {
        **dict.fromkeys(RESERVED_NAMES, "the name is taken by FlowSpec"),
        **dict.fromkeys(steps_of(flow_class), "this is a step"),
        **dict.fromkeys(parameters_of(flow_class), "this is a parameter"),
        **dict.fromkeys(constants_of(flow_class), "this is a constant of the class"),
    }
    why = kinds.get(name)
    return f"{why}; use another name" if why else None


def _at(declaration: Declaration, message: str) -> FlowProblem:
    return FlowProblem(message, *declaration.place)
