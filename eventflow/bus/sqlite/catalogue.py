"""The topics of the log: what they are, and whether they are as they have to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import TopicMismatch
from eventflow.model.log import Cleanup, TopicInfo, TopicPartition, TopicSpec, partition_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from eventflow.bus.sqlite.database import Database
    from eventflow.effects import Ids
    from eventflow.model.log import NewRecord

__all__ = ["Catalogue", "Topic"]

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it stands in the file; `slots[p]` is where partition p is kept."""

    spec: TopicSpec
    topic_id: str
    slots: tuple[int, ...]

    @property
    def info(self) -> TopicInfo:
        """What the port tells of it."""
        return TopicInfo(self.spec.name, self.topic_id, self.spec.partitions)

    def slot(self, partition: int) -> int:
        """Where a partition is kept.

        Raises:
            TopicMismatch: the topic has no such partition.
        """
        if not 0 <= partition < len(self.slots):
            raise TopicMismatch(
                f"{self.spec.name} has {len(self.slots)} partitions, none of number {partition}."
            )
        return self.slots[partition]

    def partition_for(self, record: NewRecord) -> int:
        """The partition that a record names, else that of its key."""
        if record.partition is not None:
            return record.partition
        return partition_of(record.key, len(self.slots))


class Catalogue:
    """Finds topics, and remembers them: a topic does not change while it is there."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids
        self._known: dict[str, Topic] = {}

    def topic(self, name: str) -> Topic:
        """As known.

        Raises:
            TopicMismatch: there is no topic of that name.
        """
        return self._known.get(name) or self.fresh(name)

    def fresh(self, name: str) -> Topic:
        """As it stands now.

        Raises:
            TopicMismatch: there is no topic of that name.
        """
        with self._database.read() as connection:
            topic = _load(connection, name)
        if topic is None:
            self._known.pop(name, None)
            raise TopicMismatch(f"There is no topic {name}. Make it: `eventflow topics ensure`.")
        self._known[name] = topic
        return topic

    def slot(self, at: TopicPartition) -> int:
        """Where a partition is kept."""
        return self.topic(at.topic).slot(at.partition)

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> Sequence[str]:
        """As of the port."""
        with self._database.read() as connection:
            found = {spec.name: _load(connection, spec.name) for spec in specs}
        _refuse_differences(specs, found, missing_too=not create)
        missing = [spec for spec in specs if found[spec.name] is None]
        return self._make(missing) if missing else []

    def _make(self, specs: Sequence[TopicSpec]) -> Sequence[str]:
        made = []
        with self._database.write() as connection:
            found = {spec.name: _load(connection, spec.name) for spec in specs}
            # Another process may have made it meanwhile, and otherwise.
            _refuse_differences(specs, found, missing_too=False)
            for spec in specs:
                if found[spec.name] is None:
                    _store(connection, spec, self._ids.token())
                    made.append(spec.name)
        return made


def _load(connection: sqlite3.Connection, name: str) -> Topic | None:
    row = connection.execute(
        "SELECT topic_id, cleanup, retention, max_record_bytes FROM topics WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return None
    slots = connection.execute(
        "SELECT slot FROM partitions WHERE topic = ? ORDER BY partition", (name,)
    ).fetchall()
    topic_id, cleanup, retention, limit = row
    kept = None if retention is None else retention * _MILLISECOND
    spec = TopicSpec(name, len(slots), Cleanup(cleanup), kept, limit)
    return Topic(spec, topic_id, tuple(slot for (slot,) in slots))


def _store(connection: sqlite3.Connection, spec: TopicSpec, topic_id: str) -> None:
    retention = None if spec.retention is None else spec.retention // _MILLISECOND
    connection.execute(
        "INSERT INTO topics VALUES (?, ?, ?, ?, ?)",
        (spec.name, topic_id, str(spec.cleanup), retention, spec.max_record_bytes),
    )
    connection.executemany(
        "INSERT INTO partitions (topic, partition) VALUES (?, ?)",
        [(spec.name, number) for number in range(spec.partitions)],
    )


def _refuse_differences(
    specs: Sequence[TopicSpec], found: dict[str, Topic | None], *, missing_too: bool
) -> None:
    problems = []
    for spec in specs:
        topic = found[spec.name]
        if topic is not None:
            problems += _differences(spec, topic.spec)
        elif missing_too:
            problems.append(f"{spec.name} is missing; make it: `eventflow topics ensure`.")
    if problems:
        raise TopicMismatch("\n".join(problems))


def _differences(wanted: TopicSpec, found: TopicSpec) -> list[str]:
    """More room than asked for does no harm."""
    kept, limit = found.retention, found.max_record_bytes
    keeps_enough = kept is None or (wanted.retention is not None and kept >= wanted.retention)
    claims = (
        ("partitions", found.partitions, wanted.partitions, found.partitions == wanted.partitions),
        ("cleanup", found.cleanup, wanted.cleanup, found.cleanup == wanted.cleanup),
        ("retention", kept, wanted.retention or "for ever", keeps_enough),
        ("max_record_bytes", limit, wanted.max_record_bytes, limit >= wanted.max_record_bytes),
    )
    return [
        f"{wanted.name}: {what} is {is_} and has to be {must}; a topic cannot be changed in place:"
        " set it back, or use a new EVENTFLOW_TOPIC_PREFIX or EVENTFLOW_HOME."
        for what, is_, must, is_fine in claims
        if not is_fine
    ]
