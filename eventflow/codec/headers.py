"""Headers: what a record is, for whoever does not decode it.

Records of `events` carry the attributes of CloudEvents 1.0 in Kafka's binary content mode
(CloudEvents Kafka protocol binding, §3.2), so that any CloudEvents reader understands them;
source and id together are unique. All other records carry `ce_type` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.payload import timestamp_text

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.completion import Completion
    from eventflow.model.deployment import Activation
    from eventflow.model.event import EventRecord
    from eventflow.model.forward import Forward
    from eventflow.model.log import Header

__all__ = [
    "ACTIVATION",
    "COMPLETION",
    "EVENT",
    "FORWARD",
    "activation_headers",
    "completion_headers",
    "event_headers",
    "forward_headers",
    "type_header",
]

EVENT = "eventflow.event"
COMPLETION = "eventflow.completion"
ACTIVATION = "eventflow.activation"
FORWARD = "eventflow.forward"

Headers = tuple["Header", ...]


def type_header(name: str) -> Header:
    """`ce_type`."""
    return "ce_type", name.encode()


def event_headers(record: EventRecord) -> Headers:
    """Of an Event; its subject is its name."""
    source = record.source or record.namespace
    return _attributes(EVENT, source, record.id, record.name, record.published_at)


def completion_headers(record: Completion) -> Headers:
    """Of a Completion; its id is that of the run."""
    source = f"{record.namespace}/{record.flow}"
    return _attributes(COMPLETION, source, record.run_id, record.flow, record.finished_at)


def activation_headers(record: Activation) -> Headers:
    """Of an Activation; one id a version, source and whether it is deleted."""
    source = f"{record.namespace}/{record.flow}"
    state = "deleted" if record.is_deleted else "active"
    identity = f"{record.version}/{state}/{record.source}"
    return _attributes(ACTIVATION, source, identity, record.flow, record.marked_at)


def forward_headers(record: Forward) -> Headers:
    """Of a Forward; its id is the place of the original record."""
    origin = record.origin
    identity = f"{origin.topic_id}/{origin.partition}/{origin.offset}"
    event = record.event
    return _attributes(FORWARD, record.home, identity, event.name, event.published_at)


def _attributes(kind: str, source: str, identity: str, subject: str, at: datetime) -> Headers:
    return (
        ("ce_specversion", b"1.0"),
        type_header(kind),
        ("ce_source", source.encode()),
        ("ce_id", identity.encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", timestamp_text(at).encode()),
        ("content-type", b"application/avro"),
    )
