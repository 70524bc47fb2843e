"""Parameters of a flow: what is declared, checked; values from the command line, from JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.flow_spec import RESERVED_NAMES
from eventflow.authoring.members import parameters_of
from eventflow.authoring.source import place_of_attribute
from eventflow.errors import FlowProblem, InvalidParameter, InvalidPayload
from eventflow.model.deployment import ParameterSpec, ParameterType
from eventflow.model.payload import convert, decode_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.authoring.parameter import Parameter
    from eventflow.model.payload import Value

__all__ = [
    "RESERVED_OPTIONS",
    "parameter_problems",
    "parameter_specs",
    "read_values",
    "text_values",
]

RESERVED_OPTIONS = frozenset(
    {
        # Options of the flow's command line, now or in Metaflow.
        *("branch", "decospecs", "help", "json", "max-log-size", "max-num-splits", "max-workers"),
        *("namespace", "obj", "origin-run-id", "params", "production", "run-id-file"),
        *("runner-attribute-file", "tag", "tags", "trigger", "trigger-event", "user-namespace"),
        "with",
    }
)
"""Names that no parameter can have; `-` and `_` are the same here."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*")
_TYPES = "str, int, float, bool or JSONType"


def parameter_problems(flow_class: type) -> list[FlowProblem]:
    """Every mistake in the declared parameters."""
    parameters = parameters_of(flow_class)
    problems: list[FlowProblem] = []
    seen: dict[str, str] = {}
    for attribute, parameter in parameters.items():
        place = place_of_attribute(flow_class, attribute)
        messages = [*_name_mistakes(attribute, parameter), *_value_mistakes(parameter)]
        folded = str(parameter.name).lower()
        if folded in seen:
            messages.append(
                f"Parameter {parameter.name!r} differs from parameter {seen[folded]!r} at most in"
                " the case of letters: rename one."
            )
        seen.setdefault(folded, parameter.name)
        problems += [FlowProblem(message, *place) for message in messages]
    return problems


def parameter_specs(
    flow_class: type, context: DeployContext | None = None
) -> tuple[ParameterSpec, ...]:
    """The parameters of a flow as a deployment has them; defaults that are functions are asked.

    Raises:
        InvalidParameter: a default is not of the type of its parameter.
    """
    context = context or DeployContext(flow_class.__name__)
    return tuple(_spec(each, context) for each in parameters_of(flow_class).values())


def text_values(specs: Sequence[ParameterSpec], given: Mapping[str, str]) -> dict[str, str]:
    """The values of a run, as JSON text by name, from what somebody typed; defaults filled in.

    A value of type JSON is typed as JSON.

    Raises:
        InvalidParameter: all that is wrong: no such parameter, no value of its type, a required
            one that is not given.
    """
    known = {spec.name: spec for spec in specs}
    values = {spec.name: spec.default for spec in specs if spec.default is not None}
    mistakes: list[str] = []
    for name, text in given.items():
        if name not in known:
            mistakes.append(f"There is no parameter {name!r}; there is: {_listed(known)}.")
            continue
        try:
            values[name] = _from_text(text, known[name].type)
        except (InvalidParameter, InvalidPayload) as error:
            mistakes.append(f"Parameter {name!r}: {error}")
    mistakes += [
        f"Parameter {spec.name!r} has to be given: it has no default."
        for spec in specs
        if spec.is_required and spec.name not in given
    ]
    if mistakes:
        raise InvalidParameter("\n".join(mistakes))
    return values


def read_values(values: Mapping[str, str]) -> dict[str, Value]:
    """The values of a run, as its steps see them, from JSON text by name."""
    return {name: decode_value(text) for name, text in values.items()}


def _spec(parameter: Parameter, context: DeployContext) -> ParameterSpec:
    kind = parameter.type or ParameterType.STR
    default: object = parameter.default
    if callable(default):
        default = default(replace(context, parameter_name=parameter.name))
    text = None if default is None else _default_text(parameter.name, default, kind)
    return ParameterSpec(parameter.name, kind, text, parameter.is_required, parameter.help)


def _default_text(name: str, default: object, kind: ParameterType) -> str:
    try:
        if kind is ParameterType.JSON and isinstance(default, str):
            return _from_text(default, kind)
        return convert(default, kind)  # type: ignore[arg-type]  # convert refuses other types
    except (InvalidParameter, InvalidPayload) as error:
        raise InvalidParameter(f"The default of parameter {name!r}: {error}") from error


def _from_text(text: str, kind: ParameterType) -> str:
    return convert(decode_value(text) if kind is ParameterType.JSON else text, kind)


def _name_mistakes(attribute: str, parameter: Parameter) -> Iterator[str]:
    name = parameter.name
    if not _NAME.fullmatch(str(name)):
        yield (
            f"A parameter cannot be called {name!r}: use letters, digits, '_' and '-', and a"
            " letter first."
        )
    elif name.lower().replace("_", "-") in RESERVED_OPTIONS:
        yield f"A parameter cannot be called {name!r}: it is an option of the command line."
    if attribute in RESERVED_NAMES or attribute.startswith("_"):
        yield f"A parameter cannot be the attribute {attribute!r}: the name is taken. Rename it."


def _value_mistakes(parameter: Parameter) -> Iterator[str]:
    kind = parameter.type
    if kind is None:
        yield f"Parameter {parameter.name!r}: its type has to be {_TYPES}."
    elif parameter.default is not None and not callable(parameter.default):
        try:
            _default_text(parameter.name, parameter.default, kind)
        except InvalidParameter as error:
            yield str(error)


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"
