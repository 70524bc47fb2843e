"""What a flow class has: its steps, its parameters, its constants; inherited ones too.

Names come in the order in which they are written, those of base classes first.
"""

from __future__ import annotations

from inspect import isdatadescriptor, ismethoddescriptor
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eventflow.authoring.config import Config, ConfigDeclaration
from eventflow.authoring.config_expr import ConfigExpr
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.step import is_step

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "class_attribute",
    "configs_of",
    "constants_of",
    "is_constant",
    "parameters_of",
    "steps_of",
]


def steps_of(flow_class: type) -> dict[str, Any]:
    """The functions marked with `@step`, by name."""
    return {name: value for name, value in _members(flow_class) if is_step(value)}


def parameters_of(flow_class: type) -> dict[str, Parameter]:
    """The parameters, by the name of the attribute (which may differ from the parameter's), as
    they are written; what is said of a configuration is one of them."""
    declared = {
        name: value._declaration if isinstance(value, Config) else value
        for name, value in _members(flow_class)
    }
    return {name: value for name, value in declared.items() if isinstance(value, Parameter)}


def configs_of(flow_class: type) -> dict[str, ConfigDeclaration]:
    """What is said of the configurations, by the name of the attribute."""
    declared = parameters_of(flow_class)
    return {name: each for name, each in declared.items() if isinstance(each, ConfigDeclaration)}


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
