"""Re-routing: a record that a foreign producer put into the wrong partition of `events`.

It is appended once more where its namespace belongs, with its original place in headers; that
place stays its origin for ever, so that it is decided, remembered and traced as one record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventflow.errors import UndecodableRecord
from eventflow.model.log import NewRecord, partition_of
from eventflow.model.offset import Offset

if TYPE_CHECKING:
    from eventflow.model.log import Header, Record
    from eventflow.model.topics import Topics

__all__ = ["origin_headers", "origin_of", "rerouted"]

_TOPIC = "ef_origin_topic"
_TOPIC_ID = "ef_origin_topic_id"
_PARTITION = "ef_origin_partition"
_OFFSET = "ef_origin_offset"

# Whoever may write to the topic may write these headers, and a place becomes part of keys.
_PLACE = re.compile(
    rb"([A-Za-z0-9._\-]{1,249})/([A-Za-z0-9_\-]{0,64})"
    rb"/(?P<partition>[0-9]{1,10})/(?P<offset>[0-9]{1,19})"
)

_ORIGIN_HEADERS = frozenset({_TOPIC, _TOPIC_ID, _PARTITION, _OFFSET})


def rerouted(topics: Topics, record: Record, *, topic_id: str, namespace: str) -> NewRecord:
    """The record as it is appended to the partition of `namespace`, under its key.

    Value and other headers are those of the record. `topic_id` is that of the topic it was read
    from.

    Raises:
        UndecodableRecord: as of `origin_of`.
    """
    key = namespace.encode()
    headers = tuple(header for header in record.headers if header[0] not in _ORIGIN_HEADERS)
    headers += origin_headers(origin_of(record, topic_id))
    partition = partition_of(key, topics.event_partitions)
    return NewRecord(topics.events, key, record.value, headers, partition)


def origin_of(record: Record, topic_id: str) -> Offset:
    """Where the original of a record stands: the record's own place, unless it was re-routed.

    `topic_id` is that of the topic it was read from.

    Raises:
        UndecodableRecord: it has an original place that is none; reason `malformed`.
    """
    if _ORIGIN_HEADERS.isdisjoint([name for name, _ in record.headers]):
        return Offset(record.topic, topic_id, record.partition, record.offset)
    texts = [record.header(name) for name in (_TOPIC, _TOPIC_ID, _PARTITION, _OFFSET)]
    place = _PLACE.fullmatch(b"/".join(text or b"" for text in texts))
    if place is None or int(place["offset"]) >= 2**63 or int(place["partition"]) >= 2**31:
        raise UndecodableRecord(
            "Its headers ef_origin_* say that it was re-routed, but name no place in a log.",
            reason="malformed",
        )
    topic, original_id, partition, offset = (part.decode() for part in place.groups())
    return Offset(topic, original_id, int(partition), int(offset))


def origin_headers(origin: Offset) -> tuple[Header, ...]:
    """The place of a record, for a copy of it."""
    return (
        (_TOPIC, origin.topic.encode()),
        (_TOPIC_ID, origin.topic_id.encode()),
        (_PARTITION, str(origin.partition).encode()),
        (_OFFSET, str(origin.offset).encode()),
    )
