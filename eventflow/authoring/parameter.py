"""`Parameter`: a value that a run is given; read-only in its steps."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, overload

from eventflow.errors import ArtifactReadOnly
from eventflow.model.deployment import ParameterType

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.flow_spec import FlowSpec

    Default: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any] | None
    DeployTimeDefault: TypeAlias = Callable[[DeployContext], Default]

__all__ = ["JSONType", "Parameter"]


class _JSONType:
    """The type of a parameter whose value is anything that JSON can say."""

    def __repr__(self) -> str:
        return "JSONType"


JSONType: Final = _JSONType()

_TYPES: Final[tuple[tuple[object, ParameterType], ...]] = (
    (str, ParameterType.STR),
    (int, ParameterType.INT),
    (float, ParameterType.FLOAT),
    (bool, ParameterType.BOOL),
    (JSONType, ParameterType.JSON),
)
_JSON_DEFAULTS = (list, tuple, dict)


class Parameter:
    """An attribute of a flow class that each run gives a value to.

    `name` is what the command line and the mappings of events call it. `default` may be a
    function of a `DeployContext`, asked when the flow is deployed or run by hand. `type` is str,
    int, float, bool or JSONType; without it the type of the default, and str when there is none.
    For JSONType a default that is a str is JSON text. A parameter without a default is None in a
    run that does not give it, unless it is `required`: then there is no such run. With a
    `separator`, which only a str has, steps see the list of the parts between it.

    What is said here, but the name, may be an expression of configurations.
    """

    def __init__(
        self,
        name: str = "",
        default: Default | DeployTimeDefault = None,
        type: object = None,  # noqa: A002 - Metaflow's name of it
        help: str | None = None,  # noqa: A002 - likewise
        required: bool | None = False,
        show_default: bool | None = True,
        *,
        separator: str | None = None,
        **unknown: object,
    ) -> None:
        """What there is besides is a mistake, which is told when the flow is checked."""
        self.unknown = tuple(unknown)
        self.name = name
        self.default = default
        self.declared_type = type
        self.help = "" if help is None else help
        self.required = required
        self.show_default = show_default
        self.separator = separator

    @property
    def is_required(self) -> bool:
        """Whether there is no run without it. A default makes it optional."""
        return bool(self.required) and self.default is None

    @property
    def type(self) -> ParameterType | None:
        """Its type; None when what was declared is none that a parameter can have."""
        if self.declared_type is not None:
            return _type_of(self.declared_type)
        if self.default is None or callable(self.default):
            return ParameterType.STR
        if isinstance(self.default, _JSON_DEFAULTS):
            return ParameterType.JSON
        return _type_of(self.default.__class__)

    def resolved(self, resolve: Callable[[Any], Any]) -> Self:
        """The same with the value of `resolve` in the place of each thing that is said of it."""
        same = copy(self)
        vars(same).update({name: resolve(value) for name, value in vars(self).items()})
        return same

    def seen(self, value: Any) -> Any:
        """What steps see of the value that a run has."""
        return value.split(self.separator) if self.separator and value else value

    @overload
    def __get__(self, flow: None, flow_class: object) -> Parameter: ...

    @overload
    def __get__(self, flow: FlowSpec, flow_class: object) -> Any: ...

    def __get__(self, flow: FlowSpec | None, flow_class: object) -> Any:
        return self if flow is None else self._value_in(flow)

    def __set__(self, flow: FlowSpec, value: object) -> None:
        raise ArtifactReadOnly(
            f"Parameter {self.name!r} cannot be set: it is the same in every step of a run."
            " Assign to an artifact of another name."
        )

    def _value_in(self, flow: FlowSpec) -> Any:
        values = flow._binding.parameters
        if self.name not in values:
            raise AttributeError(self.name)  # FlowSpec.__getattr__ says more
        return values[self.name]


def _type_of(declared: object) -> ParameterType | None:
    return next((kind for known, kind in _TYPES if known is declared), None)
