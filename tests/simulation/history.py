"""What a simulated installation leaves behind: all that the checker is told.

The bus, the store, the executor and the world write it down, each with numbers from one counter
(`Universe` time is no order: much happens at one moment). Bytes stay bytes: the checker decodes
them by itself, with the published schemas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from eventflow.model.log import Header
    from eventflow.model.offset import Offset

__all__ = [
    "SENT_AGAIN",
    "Cancelled",
    "Fate",
    "History",
    "LoggedRecord",
    "Published",
    "TaskRun",
    "WrittenObject",
]

SENT_AGAIN = ("sent-again", b"1")
"""The header of a record that an operator has sent again: it asks for nothing new."""


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record that committed readers see. `topic` has no prefix.

    `sequence`: when it was decided that it will be seen: the commit of its transaction, before
    any marker is written; its append, outside of any. `writer` is the pid of its process.
    """

    sequence: int
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    appended_at: datetime
    writer: int = 0


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """A put that took place, also one whose answer was lost. One that was refused is none."""

    sequence: int
    key: str
    data: bytes
    writer: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """A publish that was acknowledged: where its event stands."""

    namespace: str
    name: str
    id: str
    offset: Offset


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancellation of a run that was acknowledged, and when."""

    sequence: int
    run_id: str


class Fate(StrEnum):
    """What the world did to a task. SILENCED: killed because its runner was silent; it may start
    anew as the same attempt."""

    DONE = "done"
    FAILED = "failed"
    DIED = "died"
    KILLED = "killed"
    SILENCED = "silenced"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """A task process that began its user code, in the runner process `runner` (a pid), and how
    the world let it end. DONE: its artifacts stand, and it said so. FAILED: of an error whose
    class is `why`. `until` is when that was, 0 of one that is OPEN. `hook` is the function that
    the task of an exit hook has called."""

    sequence: int
    run_id: str
    epoch: int
    step: str
    task: str
    attempt: int
    runner: int
    fate: Fate
    why: str = ""
    until: int = 0
    hook: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """One installation, from its first record until long after nothing went wrong any more.

    `records`: by topic without its prefix, each partition in order of offset. `objects`: every
    put, in order. `is_at_rest`: all that was asked for was done in time, and nothing is left to
    do. `has_jumps`: some wall clock jumped; `has_outages`: the store was away for a while.
    `oddities`: what no process should ever do, in words (one that died of an AssertionError).
    """

    records: Mapping[str, Sequence[LoggedRecord]]
    objects: Sequence[WrittenObject]
    published: Sequence[Published]
    tasks: Sequence[TaskRun]
    topic_ids: Mapping[str, str]
    event_partitions: int
    is_at_rest: bool
    join_events: int = 10_000
    has_jumps: bool = False
    has_outages: bool = False
    oddities: Sequence[str] = field(default=())
    cancelled: Sequence[Cancelled] = field(default=())
