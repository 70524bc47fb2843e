"""From the sources of `@secrets` to environment variables of the task's process.

Nothing of a value leaves this process: no graph, record, package or log has one, and errors name
the source and the key. What the process itself does with its environment is its affair.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from eventflow.authoring.attribute_values import VARIABLE_NAME
from eventflow.authoring.secret_source import secret_source
from eventflow.errors import InvalidSecret
from eventflow.execution.secrets.environment import read_environment
from eventflow.execution.secrets.file import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.secret_source import SecretSource

__all__ = ["set_secrets"]


def set_secrets(declarations: Sequence[Declaration]) -> tuple[str, ...]:
    """Fetch the secrets that a step declares and set them in this process; their values.

    Raises:
        InvalidSecret: a source has no value, or one that cannot be a variable, or sets one that
            another source or the environment has already; none is set then.
    """
    found: dict[str, str] = {}
    origins: dict[str, SecretSource] = {}
    for declaration in declarations:
        given = declaration.attributes
        for spec in given["sources"]:
            source = secret_source(spec, given["role"])
            values = _read(source)
            for name in values:
                _check(source, name, values[name], origins)
                if not given["allow_override"]:
                    _check_unset(source, name, values[name])
                origins[name] = source
            found |= values
    os.environ.update(found)
    return tuple(found.values())


def _read(source: SecretSource) -> dict[str, str]:
    values = _BACKENDS[source.backend](source)
    if not values:
        raise InvalidSecret(f"The secret {source} is empty: it has no key.")
    return values


def _read_inline(source: SecretSource) -> dict[str, str]:
    values: Mapping[str, Any] = source.options.get("env_vars", {})
    return {name: str(value) for name, value in values.items()}


def _read_aws(source: SecretSource) -> dict[str, str]:
    # Here, because every task would pay for importing an AWS client otherwise.
    from eventflow.execution.secrets.aws import read_aws  # noqa: PLC0415

    return read_aws(source)


_BACKENDS: dict[str, Callable[[SecretSource], dict[str, str]]] = {
    "inline": _read_inline,
    "file": read_file,
    "env": read_environment,
    "aws-secrets-manager": _read_aws,
}


def _check(
    source: SecretSource, name: str, value: str, origins: Mapping[str, SecretSource]
) -> None:
    if not VARIABLE_NAME.fullmatch(name):
        raise InvalidSecret(
            f"The secret {source} has the key {name!r}, which cannot be a variable: rename it, or"
            " take only others."
        )
    if name.startswith("EVENTFLOW_"):
        raise InvalidSecret(
            f"The secret {source} would set {name}, a setting of eventflow: rename its key."
        )
    if "\0" in value:
        raise InvalidSecret(f"The secret {source} has a zero byte in its key {name!r}.")
    if name in origins:
        raise InvalidSecret(
            f"The secrets {origins[name]} and {source} both set {name}: remove one, or take only"
            " some keys of it."
        )


def _check_unset(source: SecretSource, name: str, value: str) -> None:
    if os.environ.get(name, value) != value:
        raise InvalidSecret(
            f"The secret {source} would replace {name}, which the environment of the task has"
            " already: allow it with allow_override=True, or rename one."
        )
