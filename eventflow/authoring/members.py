"""What a flow class has: its steps, its parameters, its constants; inherited ones too.

Names come in the order in which they are written, those of base classes first. A class may still
change while its file is imported and its decorators are at work; from `settle` on it is what it
is, and is looked through no more.
"""

from __future__ import annotations

from functools import wraps
from inspect import isdatadescriptor, ismethoddescriptor
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from eventflow.authoring.config import Config, ConfigDeclaration
from eventflow.authoring.config_expr import ConfigExpr
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.step import is_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "class_attribute",
    "configs_of",
    "constants_of",
    "is_constant",
    "parameters_of",
    "settle",
    "settles",
    "steps_of",
]

_SETTLED = "__eventflow_settled__"
_settling: list[Callable[[type], object]] = []
Found = TypeVar("Found")


def settles(find: Callable[[type], Found]) -> Callable[[type], Found]:
    """A function of a flow class whose answer is kept once the class is settled."""

    @wraps(find)
    def found(flow_class: type) -> Found:
        kept: dict[object, Found] | None = vars(flow_class).get(_SETTLED)
        if kept is None:
            return find(flow_class)
        if find not in kept:
            kept[find] = find(flow_class)
        return kept[find]

    _settling.append(found)
    return found


def settle(flow_class: type) -> None:
    """The class does not change from here on: find now what is asked of it later. For templates,
    so that no task does it."""
    setattr(flow_class, _SETTLED, {})
    for each in _settling:
        each(flow_class)


@settles
def steps_of(flow_class: type) -> dict[str, Any]:
    """The functions marked with `@step`, by name."""
    return {name: value for name, value in _members(flow_class) if is_step(value)}


@settles
def parameters_of(flow_class: type) -> dict[str, Parameter]:
    """The parameters, by the name of the attribute (which may differ from the parameter's), as
    they are written; what is said of a configuration is one of them."""
    declared = {
        name: value._declaration if isinstance(value, Config) else value
        for name, value in _members(flow_class)
    }
    return {name: value for name, value in declared.items() if isinstance(value, Parameter)}


@settles
def configs_of(flow_class: type) -> dict[str, ConfigDeclaration]:
    """What is said of the configurations, by the name of the attribute."""
    declared = parameters_of(flow_class)
    return {name: each for name, each in declared.items() if isinstance(each, ConfigDeclaration)}


@settles
def constants_of(flow_class: type) -> dict[str, object]:
    """The constants, by name; one may be an expression of configurations, a task has its value."""
    return {name: value for name, value in _members(flow_class) if is_constant(name, value)}


def is_constant(name: str, value: object) -> bool:
    """Whether a class attribute is data of the flow, and so a read-only artifact."""
    if isinstance(value, ConfigExpr):
        return not name.startswith("_")
    return not (
        name.startswith("_")
        or callable(value)
        or isinstance(value, Parameter | ModuleType)
        or isdatadescriptor(value)
        or ismethoddescriptor(value)
    )


def class_attribute(flow_class: type, name: str) -> object:
    """The attribute as the class has it, no descriptor asked; None when it has none."""
    return next((vars(base)[name] for base in flow_class.__mro__ if name in vars(base)), None)


def _members(flow_class: type) -> Iterable[tuple[str, object]]:
    members: dict[str, object] = {}
    for base in reversed(flow_class.__mro__[:-1]):  # without object
        members.update(vars(base))
    return members.items()
