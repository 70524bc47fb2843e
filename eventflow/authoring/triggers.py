"""From what the decorators say to the trigger of a deployment, with every mistake named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.authoring.configs import resolved_parameters, with_configs
from eventflow.authoring.schedules import read_schedule
from eventflow.authoring.source import place_of_class
from eventflow.authoring.trigger_declarations import declarations_of
from eventflow.authoring.trigger_shapes import LATER, Shapes, Wanted
from eventflow.errors import FlowProblem, InvalidTrigger
from eventflow.model.deployment import ParameterType
from eventflow.model.event import RESERVED_FIELDS
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.parameter import Parameter
    from eventflow.authoring.trigger_declarations import Declaration
    from eventflow.model.deployment import ParameterSpec
    from eventflow.model.timetable import Timetable

__all__ = ["compile_schedule", "compile_trigger", "trigger_problems"]

_EVENT, _FLOW, _SCHEDULE = "trigger", "trigger_on_finish", "schedule"


def compile_trigger(
    flow_class: type, parameters: Sequence[ParameterSpec], context: DeployContext | None = None
) -> Trigger | None:
    """The trigger of a flow; None when no event and no flow starts it. Functions in it are asked,
    with `context`. Subscriptions and mappings come sorted, so that their order makes no difference.

    Raises:
        InvalidTrigger: it cannot be deployed; the message has every mistake, of the schedule
            too, with the place of the class.
    """
    context = with_configs(flow_class, context)
    mistakes, trigger = _compile(flow_class, parameters, context)
    if mistakes:
        file, line = place_of_class(flow_class)
        raise InvalidTrigger("\n".join(f"{file}:{line}: {each}" for each in mistakes))
    return trigger


def compile_schedule(flow_class: type) -> Timetable | None:
    """The schedule of a flow whose trigger compiles; None when the clock does not start it."""
    said = [each for each in declarations_of(flow_class) if each.decorator == _SCHEDULE]
    return read_schedule(said[0], {})[1] if said else None


def trigger_problems(flow_class: type) -> list[FlowProblem]:
    """Every mistake that keeps the flow from being deployed and shows without asking functions."""
    mistakes, _ = _compile(flow_class, tuple(resolved_parameters(flow_class).values()), None)
    place = place_of_class(flow_class)
    return [FlowProblem(mistake, *place) for mistake in mistakes]


def _compile(
    flow_class: type,
    parameters: Sequence[ParameterSpec | Parameter],
    context: DeployContext | None,
) -> tuple[list[str], Trigger | None]:
    declarations = declarations_of(flow_class)
    mistakes = [*_together(declarations), *_never_given(declarations, parameters)]
    required = {
        each.name: each.is_required
        for each in parameters
        if each.type is None or each.type.is_mapped
    }
    for declaration in declarations:
        if declaration.decorator == _SCHEDULE:
            mistakes += read_schedule(declaration, required)[0]
    triggers = [each for each in declarations if each.decorator != _SCHEDULE]
    compiled = []
    for declaration in triggers:
        noun = "event" if declaration.decorator == _EVENT else "flow"
        shapes = Shapes(declaration, noun, context)
        wanted = shapes.read()
        if not shapes.mistakes:
            wanted = _auto_mapped(wanted, required) if noun == "event" else wanted
            shapes.mistakes += _parameter_mistakes(declaration.decorator, wanted, required)
        mistakes += shapes.mistakes
        compiled.append(_trigger(noun, wanted))
    return mistakes, compiled[0] if compiled else None


def _together(declarations: Sequence[Declaration]) -> Iterator[str]:
    """What is wrong with decorators that stand on one flow."""
    said = [each.decorator for each in declarations]
    if said.count(_SCHEDULE) > 1:
        yield f"@schedule stands {said.count(_SCHEDULE)} times: write one, with a cron= for all."
    if _EVENT in said and _FLOW in said:
        yield f"@trigger and @trigger_on_finish on one flow {LATER}: keep one of them."
    for decorator, plural in ((_EVENT, "events"), (_FLOW, "flows")):
        if said.count(decorator) > 1:
            yield f"@{decorator} stands {said.count(decorator)} times: write one, {plural}=[…]."


def _never_given(
    declarations: Sequence[Declaration], parameters: Sequence[ParameterSpec | Parameter]
) -> Iterator[str]:
    for each in parameters if declarations else ():
        if each.type is ParameterType.FILE and each.is_required:
            yield (
                f"@{declarations[0].decorator}: parameter {each.name!r} is a file and required,"
                " and no event gives a file: give it a default."
            )


def _auto_mapped(wanted: list[Wanted], required: Mapping[str, bool]) -> list[Wanted]:
    """One event and nothing said of parameters: each is taken from the field of its own name."""
    if len(wanted) != 1 or wanted[0].is_open or wanted[0].mappings is not None:
        return wanted
    mappings = tuple(FieldMapping(name, name) for name in required if name not in RESERVED_FIELDS)
    return [Wanted(wanted[0].name, mappings)]


def _parameter_mistakes(
    decorator: str, wanted: Sequence[Wanted], required: Mapping[str, bool]
) -> Iterator[str]:
    mapped = [mapping.parameter for each in wanted for mapping in each.mappings or ()]
    for name in dict.fromkeys(mapped):
        if name not in required:
            there = ", ".join(required) or "none"
            yield f"@{decorator}: there is no parameter {name!r} to map to; there is: {there}."
        elif mapped.count(name) > 1:
            times = mapped.count(name)
            yield f"@{decorator}: parameter {name!r} is mapped {times} times: map it once."
    if any(each.is_open for each in wanted):
        return  # a function may still say where the others come from
    for name, is_required in required.items():
        if is_required and name not in mapped:
            yield (
                f"@{decorator}: parameter {name!r} is required and no event gives it: map it from"
                " a payload field, or give it a default."
            )


def _trigger(noun: str, wanted: Sequence[Wanted]) -> Trigger:
    source = Source.EVENT if noun == "event" else Source.COMPLETION
    subscriptions = [
        Subscription(each.name, tuple(sorted(each.mappings or (), key=lambda m: m.parameter)))
        for each in wanted
        if each.name is not None
    ]
    return Trigger(source, tuple(sorted(subscriptions, key=lambda each: each.name)))
