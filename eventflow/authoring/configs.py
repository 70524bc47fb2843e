"""The configurations of a flow class: what was given for them, their values, and what hangs on
them.

They are read once, when a value is first asked for, and never in a task: its run carries them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from eventflow.authoring.config import ConfigDeclaration
from eventflow.authoring.config_expr import ConfigExpr, evaluate
from eventflow.authoring.config_reading import Unreadable, read_config
from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.members import (
    configs_of,
    constants_of,
    parameters_of,
    steps_of,
)
from eventflow.authoring.source import place_of_attribute, place_of_class
from eventflow.errors import FlowProblem, InvalidConfig
from eventflow.model.config_value import ConfigValue, plain
from eventflow.model.payload import decode_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.authoring.parameter import Parameter

__all__ = [
    "bind_configs",
    "config_problems",
    "config_texts",
    "config_values",
    "give_configs",
    "has_expressions",
    "resolved",
    "resolved_parameters",
    "with_configs",
]

MOST_BYTES = 128 * 2**10
"""What the configurations of a flow may have together: they are in each request of a run."""

_ATTRIBUTE = "__eventflow_configs__"
_DEEPEST = 20


@dataclass(slots=True)
class _State:
    """Of one flow class: the files and texts that are given, by name; what was read of them."""

    paths: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    texts: dict[str, str] | None = None
    values: Mapping[str, Any] | None = None


def give_configs(flow_class: type, paths: Mapping[str, str], texts: Mapping[str, str]) -> None:
    """Say from which files, or of which texts, configurations are to be read; by their names."""
    setattr(flow_class, _ATTRIBUTE, _State(paths, texts))


def bind_configs(flow_class: type, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """From here on the configurations are those that a run carries, and no file is read; as its
    steps see them. For tasks, and for who takes over what a run was given."""
    declared = configs_of(flow_class)
    seen = {each.name: each.seen(values.get(each.name)) for each in declared.values()}
    if seen:
        setattr(flow_class, _ATTRIBUTE, _State(values=seen))
    return seen


def config_values(flow_class: type) -> Mapping[str, Any]:
    """The configurations as steps see them, by name; None for one without a value.

    Raises:
        InvalidConfig: all that is wrong with them.
    """
    state = _state(flow_class)
    if state.values is None:
        texts = config_texts(flow_class)
        state.values = {
            each.name: each.seen(decode_value(texts[each.name])) if each.name in texts else None
            for each in configs_of(flow_class).values()
        }
    return state.values


def config_texts(flow_class: type) -> Mapping[str, str]:
    """The values that there are, by name, as the JSON text that a run carries.

    Raises:
        InvalidConfig: all that is wrong with them.
    """
    state = _state(flow_class)
    if state.texts is None:
        state.texts = _read(flow_class, state)
    return state.texts


def has_expressions(value: object) -> bool:
    """Whether `resolved` would change it: a decorator keeps it then, and looks at it later."""
    return next(_expressions(value), None) is not None


def resolved(flow_class: type, value: Any) -> Any:
    """`value` with each expression of configurations in it replaced by what it says: in dicts,
    lists, tuples, sets and dataclasses, however deep. Anything else is returned as it is.

    Raises:
        InvalidConfig: an expression cannot be evaluated, or a configuration cannot be read.
    """
    return _replaced(flow_class, value) if has_expressions(value) else value


def config_problems(flow_class: type) -> list[FlowProblem]:
    """All that is wrong with the configurations, else with the expressions of them: in
    parameters, in what decorators said of the flow and of its steps, and in constants."""
    try:
        config_values(flow_class)
    except InvalidConfig as error:
        return list(error.problems)
    problems = [*_nested(flow_class)]
    for expression in _expressions(tuple(_said(flow_class))):
        try:
            resolved(flow_class, expression)
        except InvalidConfig as error:
            problems += error.problems
    return list(dict.fromkeys(problems))


def resolved_parameters(flow_class: type) -> dict[str, Parameter]:
    """The parameters, by attribute, with what is said of them by configurations."""
    declared = parameters_of(flow_class)
    if not any(isinstance(each, ConfigDeclaration) for each in declared.values()):
        return declared
    return {
        name: each
        if isinstance(each, ConfigDeclaration)
        else each.resolved(lambda value: resolved(flow_class, value))
        for name, each in declared.items()
    }


def with_configs(flow_class: type, context: DeployContext | None) -> DeployContext:
    """The context of a flow with its configurations; a new one for None."""
    known = context or DeployContext(flow_class.__name__)
    return replace(known, configs=ConfigValue(config_values(flow_class)))


def _said(flow_class: type) -> Iterator[object]:
    """Where expressions of configurations may stand. A decorator keeps what it is told in
    attributes that begin with `__eventflow_`."""
    for parameter in parameters_of(flow_class).values():
        yield vars(parameter)
    constants = constants_of(flow_class)
    yield {name: value for name, value in constants.items() if isinstance(value, ConfigExpr)}
    for kept in (*flow_class.__mro__, *steps_of(flow_class).values()):
        for name, value in tuple(vars(kept).items()):
            if name.startswith("__eventflow_") and name != _ATTRIBUTE:
                yield value


def _replaced(flow_class: type, value: Any) -> Any:
    if isinstance(value, ConfigExpr):
        return plain(evaluate(value, config_values(flow_class)))
    if type(value) is dict:
        return {_replaced(flow_class, k): _replaced(flow_class, v) for k, v in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_replaced(flow_class, each) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        said = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        return replace(value, **_replaced(flow_class, said))
    return value


def _expressions(value: Any, depth: int = 0) -> Iterator[ConfigExpr]:
    """Those in a value, which may contain itself."""
    if isinstance(value, ConfigExpr):
        yield value
        return
    inner: Iterable[Any] = ()
    if type(value) is dict:
        inner = (*value.keys(), *value.values())
    elif type(value) in (list, tuple, set, frozenset):
        inner = value
    elif is_dataclass(value) and not isinstance(value, type):
        inner = (getattr(value, each.name) for each in fields(value))
    for each in inner if depth < _DEEPEST else ():
        yield from _expressions(each, depth + 1)


def _nested(flow_class: type) -> Iterator[FlowProblem]:
    for name, value in constants_of(flow_class).items():
        expression = next(_expressions(value), None)
        if expression is not None and expression is not value:
            message = (
                f"Constant {name!r} has {expression!r} inside of it: write the whole constant as"
                ' one config_expr("…").'
            )
            yield FlowProblem(message, *place_of_attribute(flow_class, name))


def _state(flow_class: type) -> _State:
    state: _State | None = vars(flow_class).get(_ATTRIBUTE)
    if state is None:
        state = _State()
        setattr(flow_class, _ATTRIBUTE, state)
    return state


def _read(flow_class: type, state: _State) -> dict[str, str]:
    problems = list(_unknown(flow_class, state))
    texts: dict[str, str] = {}
    for attribute, declared in configs_of(flow_class).items():
        try:
            text = _text(flow_class, declared, state)
        except Unreadable as error:
            message = f"Configuration {declared.name!r} cannot be read: {error}."
            problems.append(FlowProblem(message, *place_of_attribute(flow_class, attribute)))
        else:
            texts.update({} if text is None else {declared.name: text})
    size = sum(len(text.encode()) for text in texts.values())
    if size > MOST_BYTES:
        message = (
            f"The configurations have {size} bytes, and at most {MOST_BYTES} are allowed: each"
            " request of a run carries them. Put data into an IncludeFile."
        )
        problems.append(FlowProblem(message, *place_of_class(flow_class)))
    if problems:
        raise InvalidConfig(problems)
    return texts


def _text(flow_class: type, declared: ConfigDeclaration, state: _State) -> str | None:
    name = declared.name
    if mistake := declared.mistake:
        raise Unreadable(mistake.removesuffix("."))
    if name in state.paths and name in state.given:
        raise Unreadable("both a file and a value are given: give one of them")
    context = DeployContext(flow_class.__name__, parameter_name=name)
    return read_config(declared, state.paths.get(name), state.given.get(name), context)


def _unknown(flow_class: type, state: _State) -> Iterator[FlowProblem]:
    known = {each.name for each in configs_of(flow_class).values()}
    for name in sorted({*state.paths, *state.given} - known):
        message = (
            f"There is no configuration {name!r} to give a value to; there is:"
            f" {', '.join(sorted(known)) or 'none'}."
        )
        yield FlowProblem(message, *place_of_class(flow_class))
