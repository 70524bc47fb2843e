"""Events: a named fact with a payload, in a namespace, immutable, with a unique id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import InvalidName

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.offset import Offset

__all__ = ["RESERVED_FIELDS", "EventRecord", "Publisher", "check_event_name"]

RESERVED_FIELDS = frozenset({"id", "name", "timestamp"})
"""Fields that no payload has at its top: the event itself says them."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")


@dataclass(frozen=True, slots=True)
class Publisher:
    """The task that published an event: lineage upwards, and the default id of the event.

    `number` counts the publishes of the task from 0, so that every attempt and every epoch of
    it gives the same ids.
    """

    namespace: str
    flow: str
    run_id: str
    step: str
    task: str
    number: int


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as it stands in the log.

    `namespace` is `project/branch`, or `project/*` for every branch. `id_set` says that the id
    identifies the fact (repeats are one event), not only the record. `payload` is encoded as
    `content_type` says; for `application/json` it is one UTF-8 JSON object. `roots` are the
    highest offsets that led here when a task published it. `hops` counts the runs before it.
    """

    id: str
    id_set: bool
    name: str
    namespace: str
    payload: bytes
    content_type: str
    published_at: datetime
    source: str
    publisher: Publisher | None = None
    roots: tuple[Offset, ...] = ()
    hops: int = 0


def check_event_name(name: str) -> str:
    """`name` itself, when it is a name that an event can have.

    Raises:
        InvalidName: it is not.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):  # type: ignore[redundant-expr]
        raise InvalidName(
            f"{name!r} is no event name: use letters, digits, '_', '-' and '.', at most 256."
        )
    return name
