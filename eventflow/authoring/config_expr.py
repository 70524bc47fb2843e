"""`config_expr` and `cfg.a.b`: values of a configuration, before there is one.

A flow's file is imported before its configurations are read, and on runners where they never
are. What is written of one in the body of the class or in a decorator is kept as an expression;
`configs.resolved` puts the value in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from eventflow.errors import FlowProblem, InvalidConfig

if TYPE_CHECKING:
    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.flow_spec import FlowSpec

    Place = tuple[str, int]

__all__ = ["ConfigExpr", "config_expr", "evaluate", "expression_of"]


class ConfigExpr:
    """An expression of configurations. Attributes and items of it are such expressions too.

    It can stand wherever a function of a `DeployContext` can, and as an attribute of the class,
    which is then a constant with its value.
    """

    __slots__ = ("_access", "_globals", "_place", "_source")

    def __init__(
        self,
        source: str,
        names: Mapping[str, Any],
        place: Place,
        access: tuple[object, ...] = (),
    ) -> None:
        self._source, self._globals, self._place, self._access = source, names, place, access

    def __getattr__(self, name: str) -> ConfigExpr:
        if name.startswith("__"):  # asked by copy, pickle and inspect
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, key: object) -> ConfigExpr:
        return ConfigExpr(self._source, self._globals, self._place, (*self._access, key))

    def __call__(self, *given: DeployContext, **_: object) -> Any:
        if len(given) != 1 or not hasattr(given[0], "configs"):
            self._refuse("be called")
        return evaluate(self, given[0].configs)

    def __get__(self, flow: FlowSpec | None, flow_class: object) -> Any:
        if flow is None:
            return self
        if flow._binding.configs is None:
            raise AttributeError  # FlowSpec.__getattr__ says more
        return evaluate(self, flow._binding.configs)

    def __iter__(self) -> NoReturn:
        self._refuse("be looped over or unpacked")

    def __format__(self, _: str) -> NoReturn:
        self._refuse("be formatted")

    def __bool__(self) -> bool:
        return self._refuse("be true or false")

    def __eq__(self, _: object) -> bool:
        self._refuse("be compared")

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"config_expr({_shown(self)!r})"

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidConfig(
            [
                FlowProblem(
                    f"{_shown(self)} cannot {what} when the class is read: it has no value yet."
                    ' Write the whole as config_expr("…").',
                    *self._place,
                )
            ]
        )


def config_expr(expr: str) -> Any:
    """A Python expression of configurations, by their names, evaluated when they are read.

        @project(name=config_expr("config.project.lower()"))

    What the module has where this is written can be used in it.
    """
    caller = sys._getframe(1)
    return ConfigExpr(expr, caller.f_globals, (caller.f_code.co_filename, caller.f_lineno))


def expression_of(config: str, key: object) -> ConfigExpr:
    """The item or attribute `key` of a configuration; asked by a method that the author's file
    has called, whose place it takes."""
    caller = sys._getframe(2)
    return ConfigExpr(config, {}, (caller.f_code.co_filename, caller.f_lineno), (key,))


def evaluate(expression: ConfigExpr, configs: Mapping[str, Any]) -> Any:
    """Its value, where `configs` has what steps see of each configuration, by name.

    Raises:
        InvalidConfig: it cannot be evaluated; with its place.
    """
    try:
        value = _source_value(expression, configs)
        for key in expression._access:
            value = _inside(value, evaluate(key, configs) if isinstance(key, ConfigExpr) else key)
    except InvalidConfig:
        raise
    except Exception as error:
        has = ", ".join(
            f"{name} (no value)" if each is None else name for name, each in configs.items()
        )
        said = str(error).strip("'\".") if isinstance(error, LookupError) else str(error)
        message = (
            f"{_shown(expression)} cannot be evaluated: {type(error).__name__}:"
            f" {said.removesuffix('.')}. The configurations are: {has or 'none'}."
        )
        raise InvalidConfig([FlowProblem(message, *expression._place)]) from error
    return value


def _source_value(expression: ConfigExpr, configs: Mapping[str, Any]) -> Any:
    source = expression._source
    if source in configs:
        return configs[source]
    # The author's own code, as the file that it stands in.
    return eval(source, {**expression._globals, **configs})


def _inside(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        if key not in value:
            raise LookupError(f"there is no {key!r}; there is: {', '.join(map(str, value))}")
        return value[key]
    return value[key] if not isinstance(key, str) else getattr(value, key)


def _shown(expression: ConfigExpr) -> str:
    parts = (
        f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
        for key in expression._access
    )
    return expression._source + "".join(parts)
