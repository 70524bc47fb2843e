"""The connected objects that a runner is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.bus.deployment_log import DeploymentLog
    from eventflow.metrics import RunnerMetrics
    from eventflow.services.log_parts import LogParts
    from eventflow.services.presence import Presence
    from eventflow.services.slots import Slots
    from eventflow.services.task_states import TaskStates
    from eventflow.settings import RunnerSettings
    from eventflow.store.port import Store

__all__ = ["RunnerParts"]


@dataclass(frozen=True, slots=True)
class RunnerParts:
    """The connected objects of a runner."""

    log: LogParts
    store: Store
    deployments: DeploymentLog
    presence: Presence
    slots: Slots
    task_states: TaskStates
    settings: RunnerSettings
    metrics: RunnerMetrics
