"""What a value that is computed when a flow is deployed, or run by hand, may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from getpass import getuser

from eventflow.model.config_value import ConfigValue

__all__ = ["DeployContext"]


@dataclass(frozen=True, slots=True)
class DeployContext:
    """Handed to a callable that stands for a default, an event, a flow or a mapping.

    `namespace` is `project/branch`, where the flow will live; `user_name` who deploys it;
    `parameter_name` the parameter whose default is computed, else None; `configs` has the
    configurations of the flow by name, empty while they are read.
    """

    flow_name: str
    user_name: str = field(default_factory=getuser)
    namespace: str | None = None
    parameter_name: str | None = None
    configs: ConfigValue = field(default_factory=lambda: ConfigValue({}))

    @property
    def project_name(self) -> str | None:
        """The project of the namespace."""
        return self.namespace and self.namespace.partition("/")[0]

    @property
    def branch_name(self) -> str | None:
        """The branch of the namespace."""
        return self.namespace and self.namespace.partition("/")[2]
