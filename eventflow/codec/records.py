"""The records that stand in our topics, by the names of their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from eventflow.model.completion import Completion
from eventflow.model.decision import Decision
from eventflow.model.deployment import Activation, Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.run import (
    Cancellation,
    Heartbeat,
    RunPosition,
    RunRecord,
    RunReport,
    RunRequest,
    TaskState,
)
from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer, TriggerPosition

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RECORDS", "AnyRecord"]

AnyRecord: TypeAlias = (
    EventRecord
    | Completion
    | Activation
    | Forward
    | Deployment
    | TriggerPosition
    | ActiveVersion
    | HeldEvent
    | SeenId
    | Timer
    | Decision
    | RunRequest
    | RunRecord
    | RunPosition
    | RunReport
    | Cancellation
    | Heartbeat
    | TaskState
)

RECORDS: Mapping[str, type[AnyRecord]] = {
    "Event": EventRecord,
    "Completion": Completion,
    "Activation": Activation,
    "Forward": Forward,
    "Deployment": Deployment,
    "TriggerPosition": TriggerPosition,
    "ActiveVersion": ActiveVersion,
    "HeldEvent": HeldEvent,
    "SeenId": SeenId,
    "Timer": Timer,
    "Decision": Decision,
    "RunRequest": RunRequest,
    "RunRecord": RunRecord,
    "RunPosition": RunPosition,
    "RunReport": RunReport,
    "Cancellation": Cancellation,
    "Heartbeat": Heartbeat,
    "TaskState": TaskState,
}
