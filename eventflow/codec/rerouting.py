"""Re-routing: a record that a foreign producer put into the wrong partition of `events`.

It is appended once more where its namespace belongs, with its original place in headers; that
place stays its origin for ever, so that it is decided, remembered and traced as one record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.errors import UndecodableRecord
from eventflow.model.log import NewRecord, partition_of
from eventflow.model.offset import Offset

if TYPE_CHECKING:
    from eventflow.model.log import Header, Record
    from eventflow.model.topics import Topics

__all__ = ["ORIGIN_HEADERS", "origin_headers", "origin_of", "rerouted"]

TOPIC = "ef_origin_topic"
TOPIC_ID = "ef_origin_topic_id"
PARTITION = "ef_origin_partition"
OFFSET = "ef_origin_offset"

ORIGIN_HEADERS = frozenset({TOPIC, TOPIC_ID, PARTITION, OFFSET})


def rerouted(topics: Topics, record: Record, *, topic_id: str, namespace: str) -> NewRecord:
    """The record as it is appended to the partition of `namespace`, under its key.

    Value and other headers are those of the record. `topic_id` is that of the topic it was read
    from.

    Raises:
        UndecodableRecord: as of `origin_of`.
    """
    key = namespace.encode()
    headers = tuple(header for header in record.headers if header[0] not in ORIGIN_HEADERS)
    headers += origin_headers(origin_of(record, topic_id))
    partition = partition_of(key, topics.event_partitions)
    return NewRecord(topics.events, key, record.value, headers, partition)


def origin_of(record: Record, topic_id: str) -> Offset:
    """Where the original of a record stands: the record's own place, unless it was re-routed.

    `topic_id` is that of the topic it was read from.

    Raises:
        UndecodableRecord: it has an original place that is none; reason `malformed`.
    """
    texts = [record.header(name) for name in (TOPIC, TOPIC_ID, PARTITION, OFFSET)]
    if not any(texts):
        return Offset(record.topic, topic_id, record.partition, record.offset)
    try:
        topic, original_id, partition, offset = [(text or b"").decode() for text in texts]
        return Offset(topic, original_id, int(partition), int(offset))
    except ValueError as error:
        raise UndecodableRecord(
            f"Its headers ef_origin_* are no place in a log: {error}.", reason="malformed"
        ) from error


def origin_headers(origin: Offset) -> tuple[Header, ...]:
    """The place of a record, for a copy of it."""
    return (
        (TOPIC, origin.topic.encode()),
        (TOPIC_ID, origin.topic_id.encode()),
        (PARTITION, str(origin.partition).encode()),
        (OFFSET, str(origin.offset).encode()),
    )
