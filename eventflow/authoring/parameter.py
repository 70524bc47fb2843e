"""`Parameter`: a value that a run is given; read-only in its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

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
    run that does not give it, unless it is `required`: then there is no such run.
    """

    def __init__(
        self,
        name: str,
        default: Default | DeployTimeDefault = None,
        type: object = None,  # noqa: A002 - Metaflow's name of it
        help: str | None = None,  # noqa: A002 - likewise
        required: bool = False,
    ) -> None:
        self.name = name
        self.default = default
        self.declared_type = type
        self.help = help or ""
        self.is_required = required and default is None

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

    @overload
    def __get__(self, flow: None, flow_class: object) -> Parameter: ...

    @overload
    def __get__(self, flow: FlowSpec, flow_class: object) -> Any: ...

    def __get__(self, flow: FlowSpec | None, flow_class: object) -> Any:
        if flow is None:
            return self
        values = flow._binding.parameters
        if self.name not in values:
            raise AttributeError(self.name)  # FlowSpec.__getattr__ says more
        return values[self.name]

    def __set__(self, flow: FlowSpec, value: object) -> None:
        raise ArtifactReadOnly(
            f"Parameter {self.name!r} cannot be set: it is the same in every step of a run."
            " Assign to an artifact of another name."
        )


def _type_of(declared: object) -> ParameterType | None:
    return next((kind for known, kind in _TYPES if known is declared), None)
