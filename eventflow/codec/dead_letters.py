"""Dead letters in the log: the original record, with the reason in headers before its own.

Key, value and headers are those of the record, byte for byte, so that it can be put back. What we
say of it stands in the first headers, always all of them and in this order:

    ef_reason  ef_message  ef_deployment  ef_key  ef_origin_timestamp
    ef_origin_topic  ef_origin_topic_id  ef_origin_partition  ef_origin_offset
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from eventflow.codec.rerouting import origin_headers, origin_of
from eventflow.errors import UndecodableRecord
from eventflow.model.dead_letter import DeadLetter
from eventflow.model.log import NewRecord, partition_of
from eventflow.model.offset import Offset
from eventflow.model.payload import timestamp_text

if TYPE_CHECKING:
    from eventflow.model.log import Header, Record
    from eventflow.model.topics import Topics

__all__ = ["dead_letter", "read_dead_letter"]

_OUR_HEADERS = 9
_LONGEST_MESSAGE = 2000  # the topic has 64 KiB more room than `events`, for all headers


def dead_letter(
    topics: Topics,
    record: Record,
    *,
    reason: str,
    message: str,
    namespace: str | None = None,
    deployment: tuple[str, str, int] | None = None,
) -> NewRecord:
    """What `dead-letters` keeps of a record that could not be handled. Never raises.

    It goes to the partition of `namespace`; of its key where the namespace is not known. Its
    origin is where it stood before it was re-routed. `deployment` is (namespace, flow, version)
    when only that one could not handle it.
    """
    place = record.key or b"" if namespace is None else namespace.encode()
    ours: tuple[Header, ...] = (
        ("ef_reason", reason.encode()),
        ("ef_message", message[:_LONGEST_MESSAGE].encode(errors="backslashreplace")),
        ("ef_deployment", "/".join(str(part) for part in deployment or ()).encode()),
        ("ef_key", b"absent" if record.key is None else b"present"),
        ("ef_origin_timestamp", timestamp_text(record.appended_at).encode()),
        *origin_headers(_origin(record)),
    )
    return NewRecord(
        topics.dead_letters,
        record.key or b"",
        record.value,
        ours + record.headers,
        partition_of(place, topics.event_partitions),
    )


def read_dead_letter(record: Record) -> DeadLetter:
    """The dead letter that a record of `dead-letters` is.

    Raises:
        UndecodableRecord: it is none of ours; reason `malformed`.
    """
    try:
        said = {name: value.decode() for name, value in record.headers[:_OUR_HEADERS]}
        return DeadLetter(
            reason=said["ef_reason"],
            message=said["ef_message"],
            origin=origin_of(record, ""),
            key=None if said["ef_key"] == "absent" else record.key,
            value=record.value,
            headers=record.headers[_OUR_HEADERS:],
            deployment=_deployment(said["ef_deployment"]),
            appended_at=datetime.fromisoformat(said["ef_origin_timestamp"]),
            failed_at=record.appended_at,
        )
    except (LookupError, ValueError, UndecodableRecord) as error:
        raise UndecodableRecord(
            f"{record.topic}/{record.partition}/{record.offset} is no dead letter of eventflow:"
            f" {error}.",
            reason="malformed",
        ) from error


def _origin(record: Record) -> Offset:
    try:
        return origin_of(record, "")
    except UndecodableRecord:  # headers that say nonsense are why it comes here; its place counts
        return Offset(record.topic, "", record.partition, record.offset)


def _deployment(text: str) -> tuple[str, str, int] | None:
    if not text:
        return None
    namespace, flow, version = text.rsplit("/", 2)
    return namespace, flow, int(version)
