"""`Config`: a configuration of a flow, read before its decorators are, and the same in each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from eventflow.authoring.config_expr import expression_of
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.parsers import parser_mistake
from eventflow.errors import ArtifactReadOnly
from eventflow.model.config_value import ConfigValue
from eventflow.model.deployment import ParameterType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from eventflow.authoring.config_expr import ConfigExpr
    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.flow_spec import FlowSpec

    Path: TypeAlias = str | Callable[[DeployContext], str]
    Value: TypeAlias = str | Mapping[str, Any]
    Parser: TypeAlias = str | Callable[[str], Any]

__all__ = ["Config", "ConfigDeclaration"]


class ConfigDeclaration(Parameter):
    """What is said of a configuration. To a deployment and its runs it is a parameter, whose
    value is set when the flow is deployed, or run by hand."""

    def __init__(
        self, name: str, path: Path | None, value: object, parser: Parser | None, plain: bool
    ) -> None:
        super().__init__(name)
        self.path, self.value, self.parser, self.plain = path, value, parser, plain

    @property
    def type(self) -> ParameterType:
        """`config`, always."""
        return ParameterType.CONFIG

    @property
    def is_required(self) -> bool:
        """Whether the flow cannot be used without it. A default makes it optional."""
        return bool(self.required) and self.path is None and self.value is None

    @property
    def mistake(self) -> str | None:
        """What is wrong with what is said of it."""
        if self.path is not None and self.value is not None:
            return "it has default= and default_value=: keep one of them."
        return parser_mistake(self.parser)

    def seen(self, value: Any) -> Any:
        """What steps see: a `ConfigValue`; as it is when it is `plain`."""
        return value if self.plain or not isinstance(value, dict) else ConfigValue(value)


class Config:
    """An attribute of a flow class with the content of a JSON file, or of another with a `parser`.

    It is read from the file that `--config name path` names, or the value of `--config-value name
    json`, else from `default`, a path, else it is `default_value`; both may be functions of a
    `DeployContext`. That happens when the flow is run by hand or deployed, and never on a runner:
    a deployed version keeps the value that it was deployed with.

    In the body of the class and in decorators `config.a.b` is an expression of it, and so is
    `config_expr("config.a.b")`. In steps `self.config` is a `ConfigValue`; with `plain=True` what
    the parser gave, or without one the text. A configuration without a value is None, unless it
    is `required`.
    """

    def __init__(  # noqa: PLR0917 - the order in which Metaflow takes them
        self,
        name: str = "",
        default: Path | None = None,
        default_value: Value | Callable[[DeployContext], Value] | None = None,
        help: str | None = None,  # noqa: A002 - Metaflow's name of it
        required: bool | None = False,
        parser: Parser | None = None,
        plain: bool = False,
        *,
        show_default: bool | None = True,
        **unknown: object,
    ) -> None:
        declaration = ConfigDeclaration(name, default, default_value, parser, plain)
        declaration.help, declaration.required = help or "", required
        declaration.show_default, declaration.unknown = show_default, tuple(unknown)
        # The one attribute that no key of a configuration can be called by.
        self._declaration = declaration

    def __getattr__(self, name: str) -> ConfigExpr:
        if name.startswith("__") or name == "_declaration":  # asked by copy, pickle and inspect
            raise AttributeError(name)
        return expression_of(self._declaration.name, name)

    def __getitem__(self, key: object) -> ConfigExpr:
        return expression_of(self._declaration.name, key)

    @overload
    def __get__(self, flow: None, flow_class: object) -> Config: ...

    @overload
    def __get__(self, flow: FlowSpec, flow_class: object) -> Any: ...

    def __get__(self, flow: FlowSpec | None, flow_class: object) -> Any:
        return self if flow is None else self._declaration._value_in(flow)

    def __set__(self, flow: FlowSpec, value: object) -> None:
        raise ArtifactReadOnly(
            f"Configuration {self._declaration.name!r} cannot be set: it is the same in every"
            " step of a run. Assign to an artifact of another name."
        )
