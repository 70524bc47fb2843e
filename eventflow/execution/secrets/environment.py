"""Secrets that the runner has in its environment: `env.DB_PASSWORD`.

Tasks inherit that environment, so what this backend adds is that a missing one is an error, that
it may have another name in the task, and that its value is masked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eventflow.errors import InvalidSecret

if TYPE_CHECKING:
    from eventflow.authoring.secret_source import SecretSource

__all__ = ["read_environment"]


def read_environment(source: SecretSource) -> dict[str, str]:
    """The variable, under its own name or `env_var_name`.

    Raises:
        InvalidSecret: it is not set, or empty.
    """
    value = os.environ.get(source.id, "")
    if not value:
        raise InvalidSecret(
            f"The secret {source} is not there: set {source.id} in the environment of the runner."
        )
    return {source.options.get("env_var_name") or source.id: value}
