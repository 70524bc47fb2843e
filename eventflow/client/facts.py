"""`Task.metadata`: what is known of an attempt besides its artifacts, in Metaflow's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.model.task import TaskKey
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace

__all__ = ["Metadata", "facts_of"]


class Metadata(NamedTuple):
    """One fact. `created_at` is the end of the attempt; None when it did not succeed. `task` is
    the pathspec of the task."""

    name: str
    value: str
    created_at: datetime | None
    type: str
    task: str


def facts_of(place: RunPlace, key: TaskKey, record: TaskRecord | None, task: str) -> list[Metadata]:
    """The facts of one attempt, of which `record` is what it left."""
    at = record.finished_at if record else None
    facts = [("attempt", str(key.attempt)), ("epoch", str(key.epoch))]
    facts += [("attempt_ok", str(record is not None)), ("namespace", place.namespace)]
    facts += _of_record(record) if record else ()
    return [Metadata(name, value, at, name, task) for name, value in facts]


def _of_record(record: TaskRecord) -> Iterator[tuple[str, str]]:
    yield "started_at", record.started_at.isoformat()
    yield "finished_at", record.finished_at.isoformat()
    yield "next_steps", ",".join(record.next_steps)
    yield "published", ",".join(map(str, record.published))
