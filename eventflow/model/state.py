"""What stands in `trigger-state[p]`: all that the trigger service knows of a partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.offset import Offset
    from eventflow.model.run import Cause
    from eventflow.model.timetable import Timetable

__all__ = ["ActiveVersion", "HeldEvent", "SeenId", "Timer", "TriggerPosition"]


@dataclass(frozen=True, slots=True)
class TriggerPosition:
    """How far the partition is decided: the truth, written in every transaction."""

    topic_id: str
    next_offset: int
    clock: datetime


@dataclass(frozen=True, slots=True)
class ActiveVersion:
    """The version of a deployment in force for the records of `source` in this partition.

    `join_since` is the first version of the unbroken line of equal triggers that ends in
    `version`: an event decided by an older one finds its join closed.
    """

    source: str
    namespace: str
    flow: str
    version: int
    join_since: int


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that waits in a join of a deployment for the others. `roots` and `hops` are those
    of the event, with its own offset."""

    namespace: str
    flow: str
    cause: Cause
    roots: tuple[Offset, ...]
    hops: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SeenId:
    """An id that a publisher set, kept for the window of de-duplication.

    `digest` is 16 bytes of (namespace, event name, id), `payload_digest` 16 of the payload.
    """

    digest: bytes
    payload_digest: bytes
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Timer:
    """The schedule of a deployment, in the partition of its namespace. `due_at` is its next due
    time, after `passed_at`: the last one fired, or the time of the partition at its mark.

    `due_at` is None of a timer that was let go, and had fired ahead of the records: it stands
    until they have come so far, so that the deployment does not start twice for one time.
    """

    namespace: str
    flow: str
    timetable: Timetable
    due_at: datetime | None
    passed_at: datetime
