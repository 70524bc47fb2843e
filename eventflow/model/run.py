"""Runs: what is requested, what its custodian records, what runners say of themselves."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from eventflow.model.completion import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from eventflow.model.offset import Offset
    from eventflow.model.trigger import Source

__all__ = [
    "WAITING",
    "Cancellation",
    "Cause",
    "Heartbeat",
    "Outcome",
    "RunPosition",
    "RunRecord",
    "RunReport",
    "RunRequest",
    "RunState",
    "TaskState",
    "Working",
    "hand_run_id",
    "run_id_of",
]


class RunState(StrEnum):
    """What a run is in, for people: the first two before its end, the others are its end."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Cause:
    """An original record that led to a run. `payload` is the event's; of a completion it is
    the JSON object {"flow", "run_id", "outcome"}, and `name` is the flow's name.

    A due time of a schedule is a cause too: `at` is that time, `event_id` and `origin` say the
    same, `name` is the timetable, and `payload` {"cron", "timezone", "due_at", "skipped"} as JSON.

    `run_namespace`, `flow` and `run_id` name the run that ended, or whose task published the
    event; `run_id` is None for an event published from outside.
    """

    origin: Offset
    kind: Source
    event_id: str
    name: str
    namespace: str
    at: datetime
    payload: bytes
    content_type: str
    run_namespace: str = ""
    flow: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that has to be executed, exactly once.

    `parameters` maps names to JSON text. `causes` are oldest first; when they are larger than
    256 KiB they stand in the blob `causes_digest` instead, and `causes` is empty. `origin` is the
    id of the run that it resumes, None for most. `tags` are those that it starts with;
    `system_tags` are what who started or deployed it says of itself.
    """

    run_id: str
    namespace: str
    flow: str
    version: int
    parameters: dict[str, str]
    causes: tuple[Cause, ...]
    causes_digest: str | None
    roots: tuple[Offset, ...]
    hops: int
    requested_at: datetime
    origin: str | None = None
    tags: tuple[str, ...] = ()
    system_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The state of a run, written by its custodian only.

    Open while `outcome` is None. `epoch` counts the take-overs from 1; `stalled_take_overs`
    those in a row, from silent runners, since a task last finished; `finished_tasks` is the
    number of tasks that had finished at the last take-over.
    """

    run_id: str
    epoch: int
    runner_id: str
    request: RunRequest
    accepted_at: datetime
    outcome: Outcome | None = None
    reason: str = ""
    finished_at: datetime | None = None
    stalled_take_overs: int = 0
    finished_tasks: int = 0


@dataclass(frozen=True, slots=True)
class RunPosition:
    """How far a custodian has read `run-requests[p]` and `run-reports[p]`: next offsets."""

    requests_topic_id: str
    next_request: int
    reports_topic_id: str
    next_report: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """A runner that is not the custodian ended a run: its `end.json` stands.

    With `is_released`, the run did not end: its runner gave it up in good order.
    """

    run_id: str
    epoch: int
    runner_id: str
    is_released: bool = False


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Somebody wants a requested run to end as cancelled; its custodian sees to it.

    `request` is there when no runner had accepted it yet, so that it can end without a start.
    """

    run_id: str
    reason: str
    asked_at: datetime
    request: RunRequest | None = None


@dataclass(frozen=True, slots=True)
class Working:
    """A run that a runner executes, and under which epoch."""

    run_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a runner process says of itself every few seconds."""

    runner_id: str
    host: str
    boot_id: str
    pid: int
    slots: int
    working: tuple[Working, ...]
    is_gone: bool
    sent_at: datetime


WAITING = "waiting"
"""The state of an attempt that begins later, because the one before it has failed."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task began or ended: for live views, never for decisions. `state` is `running`, how the
    attempt ended, or `waiting`: then it begins at the time `at`."""

    namespace: str
    flow: str
    run_id: str
    epoch: int
    step: str
    task: str
    attempt: int
    state: str
    at: datetime


def hand_run_id(at: datetime, token: str) -> str:
    """The id of a run by hand: `h`, ten characters of the time, ten of `token`.

    The time stands backwards: the first characters, which people type, change the fastest.
    """
    ms = round(at.timestamp() * 1000)
    characters = base64.b32encode(ms.to_bytes(10, "big")).decode().lower()
    return f"h{characters[:-11:-1]}{token[:10]}"


def run_id_of(namespace: str, flow: str, causes: Sequence[Offset]) -> str:
    """The id of the run that `causes`, in order, start: `r` + 100 bits of SHA-256 in base32.

    The same causes give the same id whoever computes it, so that a repeated request is known.
    The version is not in it.
    """
    digest = hashlib.sha256()
    for part in (namespace, flow):
        digest.update(part.encode() + b"\0")
    for cause in causes:
        digest.update(f"{cause.topic_id}/{cause.partition}/{cause.offset}\0".encode())
    # 15 bytes are 24 characters; b32encode takes its time over the others.
    return "r" + base64.b32encode(digest.digest()[:15])[:20].decode().lower()
