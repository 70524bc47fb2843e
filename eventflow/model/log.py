"""What stands in a log: records as they are written and as they are read, and topics.

`partition_of` is the partitioner of the whole system: murmur2 as the Java client computes it
(`murmur2_random` in librdkafka), so that JVM producers land in the same partition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Cleanup",
    "Header",
    "NewRecord",
    "Record",
    "TopicInfo",
    "TopicPartition",
    "TopicSpec",
    "murmur2",
    "partition_of",
]

Header = tuple[str, bytes]


@dataclass(frozen=True, slots=True, order=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append. Without `partition`, the murmur2 hash of the key decides."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read. `appended_at` is the broker's time (LogAppendTime), aware UTC.

    `value` None is a tombstone. Offsets of a partition grow, with gaps.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    appended_at: datetime

    def header(self, name: str) -> bytes | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key == name), None)


class Cleanup(StrEnum):
    """What a topic does with old records."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic has to be. `retention` None keeps records for ever.

    `config` has further topic settings under Kafka's names; the embedded bus ignores them.
    """

    name: str
    partitions: int
    cleanup: Cleanup
    retention: timedelta | None
    max_record_bytes: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """What a topic is. `topic_id` changes when the topic is deleted and made again."""

    name: str
    topic_id: str
    partitions: int


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner for keyed records."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The unsigned 32-bit murmur2 of `org.apache.kafka.common.utils.Utils.murmur2`."""
    length = len(data)
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ (k >> 24)) * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ (h >> 15)
