"""Where a secret comes from, as `@secrets` says it: a backend, the id of the secret there, options.

As text `backend.id`, or as a dict with `type`, `id`, `options` and `role`. Never a value, but for
`inline`, which is for tests: its values stand in the code, and so in the code's package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from eventflow.authoring.attribute_values import VARIABLE_NAME, variables
from eventflow.errors import InvalidDecorator

__all__ = ["BACKENDS", "SecretSource", "secret_source"]

BACKENDS = {
    "inline": frozenset({"env_vars"}),
    "file": frozenset({"names"}),
    "env": frozenset({"env_var_name"}),
    "aws-secrets-manager": frozenset({"json", "env_var_name", "region"}),
}
"""The backends, each with the options that it knows."""

_KEYS = frozenset({"type", "id", "options", "role"})


@dataclass(frozen=True, slots=True)
class SecretSource:
    """One source. `role` is assumed where the backend knows roles."""

    backend: str
    id: Any
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    role: str | None = None

    def __str__(self) -> str:
        return f"{self.backend}.{self.id}"


def secret_source(spec: object, role: str | None = None) -> SecretSource:
    """The source that one entry of `sources` says; `role` is that of the decorator.

    Raises:
        InvalidDecorator: it says none; what is wrong, without a value.
    """
    if isinstance(spec, str):
        backend, dot, name = spec.partition(".")
        source = SecretSource(backend, name if dot else "", {}, role)
    elif isinstance(spec, Mapping):
        unknown = sorted(str(each) for each in spec.keys() - _KEYS)
        if unknown:
            raise InvalidDecorator(
                f"a source has no {', '.join(unknown)}; it has: type, id, options, role"
            )
        source = SecretSource(
            spec.get("type", ""),
            spec.get("id", ""),
            spec.get("options") or {},
            spec.get("role", role),
        )
    else:
        raise InvalidDecorator(f"a source is text or a dict, not {type(spec).__name__}")
    _check(source)
    return source


def _check(source: SecretSource) -> None:
    if source.backend not in BACKENDS:
        there = ", ".join(BACKENDS)
        raise InvalidDecorator(
            f"a source names its backend first, as in 'env.DB_PASSWORD'; there are: {there}"
        )
    if not isinstance(source.id, str) or not (source.id or source.backend == "inline"):
        raise InvalidDecorator(f"a source of {source.backend} has an id, which is text")
    if source.role is not None and not isinstance(source.role, str):
        raise InvalidDecorator(f"the role of {source} has to be text")
    if not isinstance(source.options, Mapping):
        raise InvalidDecorator(f"the options of {source} have to be a dict")
    known = BACKENDS[source.backend]
    unknown = sorted(str(each) for each in source.options.keys() - known)
    if unknown:
        raise InvalidDecorator(
            f"{source} has no option {', '.join(unknown)}; there is: {', '.join(sorted(known))}"
        )
    _check_options(source)


def _check_options(source: SecretSource) -> None:
    options = source.options
    if source.backend == "inline":
        variables(options.get("env_vars", {}))
    if source.backend == "file" and not _is_fixed(source.id):
        raise InvalidDecorator(
            f"the file of {source} has to be an absolute path, on the runner's machine"
        )
    name = options.get("env_var_name")
    if name is not None and not (isinstance(name, str) and VARIABLE_NAME.fullmatch(name)):
        raise InvalidDecorator(f"env_var_name of {source} has to be the name of a variable")
    names = options.get("names")
    if names is not None and not (
        isinstance(names, list | tuple) and all(isinstance(each, str) for each in names)
    ):
        raise InvalidDecorator(f"names of {source} has to be a list of names")
    if not isinstance(options.get("json", True), bool):
        raise InvalidDecorator(f"json of {source} has to be True or False")
    if not isinstance(options.get("region", ""), str):
        raise InvalidDecorator(f"region of {source} has to be text")


def _is_fixed(path: str) -> bool:
    return PurePath(path).is_absolute() or path.startswith("~/")
