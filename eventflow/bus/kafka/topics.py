"""What topics are: asked once a minute, so that no record waits for the question."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.bus.kafka.clients import BATCH_BYTES
from eventflow.bus.kafka.deadline import Deadline
from eventflow.errors import RecordTooLarge, TopicMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.bus.kafka.admin import Admin
    from eventflow.model.log import NewRecord, TopicInfo

__all__ = ["KnownTopic", "Topics"]

# A topic that is deleted and made again has another id: a known one is not believed for ever.
_BELIEVED = timedelta(minutes=1)
# Of a record batch (message format v2), and of one record in it with the longest varints.
_BATCH_OVERHEAD = 61
_RECORD_OVERHEAD = 21
_HEADER_OVERHEAD = 10


@dataclass(frozen=True, slots=True)
class KnownTopic:
    """A topic and the limit of its record batches; None when that may not be read."""

    info: TopicInfo
    limit_bytes: int | None
    until: Deadline

    def size_of(self, record: NewRecord) -> int:
        """The bytes that a record takes in a batch of its own, uncompressed.

        Raises:
            RecordTooLarge: more than the topic takes.
            TopicMismatch: there is no such partition.
        """
        if record.partition is not None:
            self.check_partition(record.partition)
        size = _size(record)
        if self.limit_bytes is not None and size > self.limit_bytes:
            raise RecordTooLarge(
                f"a record of {size} bytes is over the limit of topic {self.info.name}:"
                f" {self.limit_bytes} (max.message.bytes)"
            )
        return size

    def check_partition(self, partition: int) -> None:
        """Nothing, when there is that partition.

        Raises:
            TopicMismatch: there is not.
        """
        if not 0 <= partition < self.info.partitions:
            raise TopicMismatch(
                f"There is no partition {partition} of {self.info.name}:"
                f" it has {self.info.partitions}"
            )

    @property
    def is_narrow(self) -> bool:
        """Whether a batch of several records can be over the limit that each is below."""
        return self.limit_bytes is not None and self.limit_bytes < BATCH_BYTES


class Topics:
    """The topics of a cluster. Safe to use from several threads."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._known: dict[str, KnownTopic] = {}

    def info(self, name: str) -> TopicInfo:
        """What a topic is, asked anew.

        Raises:
            TopicMismatch: there is none.
        """
        found = self._admin.find([name])[name]
        if found is None:
            self._known.pop(name, None)
            raise TopicMismatch(
                f"There is no topic {name}. `eventflow topics ensure` makes what is missing"
            )
        return found

    def known(self, name: str) -> KnownTopic:
        """What a topic is, as of the last minute.

        Raises:
            TopicMismatch: there is none.
        """
        topic = self._known.get(name)
        if topic is None or topic.until.is_over:
            topic = self._known[name] = self._ask(name)
        return topic

    def fitting(self, record: NewRecord) -> tuple[KnownTopic, int]:
        """The topic of a record, and what `KnownTopic.size_of` says. A topic is asked for once:
        on the way of every event there is no time for it; and before a record is refused.

        Raises:
            RecordTooLarge, TopicMismatch: as of now.
        """
        topic = self._known.get(record.topic)
        if topic is not None:
            with suppress(RecordTooLarge, TopicMismatch):
                return topic, topic.size_of(record)
        topic = self._known[record.topic] = self._ask(record.topic)
        return topic, topic.size_of(record)

    def doubt(self) -> None:
        """Ask for every topic again: the broker did not agree with what was known."""
        self._known = {}

    def check_co_partitioned(self, topics: Sequence[str]) -> None:
        """Nothing, when all of the topics exist and have the same partition count.

        Raises:
            TopicMismatch: one is missing or differs.
        """
        counts = {topic: self.info(topic).partitions for topic in topics}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
            raise TopicMismatch(
                f"Topics that are consumed together need the same partition count: {listed}"
            )

    def _ask(self, name: str) -> KnownTopic:
        info = self.info(name)
        limit = self._admin.configs([name])[name].get("max.message.bytes")
        return KnownTopic(info, None if limit is None else int(limit), Deadline(_BELIEVED))


def _size(record: NewRecord) -> int:
    headers = sum(
        len(name.encode()) + len(value) + _HEADER_OVERHEAD for name, value in record.headers
    )
    body = len(record.key) + len(record.value or b"")
    return _BATCH_OVERHEAD + _RECORD_OVERHEAD + body + headers
