"""The codec: records of the model ⇄ what stands in the log.

A value is Avro single-object encoding (Avro 1.12, Single-object encoding): `C3 01`, the
CRC-64-AVRO fingerprint of the writer's schema, little-endian, and the binary body. A record that
an older or newer program wrote is read by the schema that it was written with, resolved to ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from eventflow.codec.causes import read_causes, write_causes
from eventflow.codec.fingerprint import fingerprint
from eventflow.codec.misfits import MISFITS
from eventflow.codec.records import RECORDS
from eventflow.codec.routes import routes
from eventflow.codec.schemas import schema_text
from eventflow.codec.shape import shape_of
from eventflow.codec.writer_schema import parse_writer_schema
from eventflow.errors import EventTooLarge, UndecodableRecord, UnknownSchema
from eventflow.model.event import EventRecord
from eventflow.model.log import NewRecord
from eventflow.model.topics import EVENT_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventflow.codec.records import AnyRecord
    from eventflow.codec.routes import Route
    from eventflow.codec.shape import Convert
    from eventflow.model.run import Cause
    from eventflow.model.topics import Topics

__all__ = ["Codec"]

MAGIC = b"\xc3\x01"
HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of record is written, and read back."""

    header: bytes
    schema: dict[str, Any]
    schema_json: str
    to_avro: Convert
    from_avro: Convert


@dataclass(frozen=True, slots=True)
class _Reading:
    """How records of one writer's schema are read. `reader` is None where both are the same."""

    writer: dict[str, Any]
    reader: dict[str, Any] | None
    from_avro: Convert


class Codec:
    """Encodes and decodes every record of an installation. Safe to use from several threads."""

    def __init__(self, topics: Topics) -> None:
        self._routes = routes(topics)
        self._forms = {kind: _form(name, kind) for name, kind in RECORDS.items()}
        self._forms_by_name = {form.schema["name"]: form for form in self._forms.values()}
        self._readings = {
            form.header: _Reading(form.schema, None, form.from_avro)
            for form in self._forms.values()
        }

    @property
    def schemas(self) -> Mapping[bytes, str]:
        """The schemas that this codec writes with, by fingerprint, as JSON with docs."""
        return {form.header[len(MAGIC) :]: form.schema_json for form in self._forms.values()}

    def encode(self, record: AnyRecord) -> bytes:
        """The record as a value of the log.

        Raises:
            TypeError, ValueError: it is not what its annotations say.
        """
        form = self._forms[type(record)]
        value = BytesIO()
        value.write(form.header)
        schemaless_writer(value, form.schema, form.to_avro(record))
        return value.getvalue()

    def decode(self, value: bytes | None) -> AnyRecord:
        """The record that a value says.

        Raises:
            UnknownSchema: it was written with a schema that this codec has not learnt. With its
                `fingerprint` the schema may be found in the `schemas` topic.
            UndecodableRecord: it is no record of ours; the reason is `tombstone` (no value),
                `bad-magic`, `truncated`, `malformed`, or `unknown-schema`.
        """
        reading = self._readings.get(value[:HEADER_BYTES]) if value else None
        if reading is None or value is None:
            raise _unreadable(value)
        body = BytesIO(value)
        body.seek(HEADER_BYTES)
        try:
            fields: Any = schemaless_reader(body, reading.writer, reading.reader)
            record: AnyRecord = reading.from_avro(fields)
        except MISFITS as error:
            raise _misfit(body, value, reading, error) from error
        if body.tell() != len(value):
            raise UndecodableRecord(
                f"A record of {reading.writer['name']} goes on after its end:"
                f" {len(value)} bytes, read {body.tell()}.",
                reason="malformed",
            )
        return record

    def knows(self, writer_fingerprint: bytes) -> bool:
        """Whether records of that schema can be decoded."""
        return MAGIC + writer_fingerprint in self._readings

    def learn(self, schema_json: str | bytes) -> None:
        """Read records of this writer's schema from now on; idempotent.

        Raises:
            UndecodableRecord: it is no schema of one of our records, or not safe to read by;
                the reason is `unknown-schema`.
        """
        writer = parse_writer_schema(schema_json)
        form = self._forms_by_name.get(writer["name"])
        if form is None:
            raise UndecodableRecord(
                f"Its schema is that of {writer['name']}, which is no record of eventflow.",
                reason="unknown-schema",
            )
        header = MAGIC + fingerprint(writer)
        self._readings.setdefault(header, _Reading(writer, form.schema, form.from_avro))

    def new_record(
        self, record: AnyRecord, *, partition: int | None = None, traceparent: str | None = None
    ) -> NewRecord:
        """The record as it is appended: topic, key and headers are those of its kind.

        `partition` has to be said for what belongs to the partition of an input (trigger state,
        decisions, positions); for the others the key decides without it. `traceparent` is
        passed on as the header of that name (W3C Trace Context).

        Raises:
            EventTooLarge: it is an event of more than 512 KiB.
            ValueError: the partition has to be said, and is not.
        """
        route = self._route(record, partition)
        value = self.encode(record)
        if len(value) > EVENT_LIMIT_BYTES and isinstance(record, EventRecord):
            raise EventTooLarge(
                f"The event {record.name} has {len(value)} bytes, the limit is"
                f" {EVENT_LIMIT_BYTES}: put the data into the store and publish its key."
            )
        headers = route.headers(record)
        if traceparent is not None:
            headers += (("traceparent", traceparent.encode()),)
        return NewRecord(route.topic, route.key(record), value, headers, partition)

    def tombstone(self, record: AnyRecord, *, partition: int | None = None) -> NewRecord:
        """What removes a record from its compact topic: its key without a value.

        Raises:
            ValueError: its topic is not compact, or the partition has to be said and is not.
        """
        route = self._route(record, partition)
        if not route.is_kept:
            raise ValueError(f"A {type(record).__name__} cannot be removed from {route.topic}.")
        return NewRecord(route.topic, route.key(record), None, (), partition)

    def tombstone_of(self, topic: str, key: str, partition: int | None = None) -> NewRecord:
        """The same for whoever has kept a record's key only."""
        return NewRecord(topic, key.encode(), None, (), partition)

    def causes_to_bytes(self, causes: Sequence[Cause]) -> bytes:
        """The causes of a run as a blob of the store; equal causes give equal bytes."""
        return write_causes(causes)

    def causes_from_bytes(self, blob: bytes) -> tuple[Cause, ...]:
        """The causes in such a blob, also when an older or newer eventflow wrote it.

        Raises:
            CorruptObject: it is no such blob.
        """
        return read_causes(blob)

    def _route(self, record: AnyRecord, partition: int | None) -> Route:
        route = self._routes[type(record)]
        if partition is None and route.is_pinned:
            raise ValueError(f"Which partition does this {type(record).__name__} belong to?")
        return route


def _form(name: str, kind: type[AnyRecord]) -> _Form:
    raw = json.loads(schema_text(name))
    schema: Any = parse_schema(raw, named_schemas={})
    shape = shape_of(kind)
    assert shape.to_avro is not None
    assert shape.from_avro is not None
    schema_json = json.dumps(raw, separators=(",", ":"), ensure_ascii=False)
    return _Form(MAGIC + fingerprint(raw), schema, schema_json, shape.to_avro, shape.from_avro)


def _unreadable(value: bytes | None) -> UndecodableRecord:
    if value is None:
        return UndecodableRecord("A record without a value, where none can be.", reason="tombstone")
    if len(value) < HEADER_BYTES and MAGIC.startswith(value[: len(MAGIC)]):
        return UndecodableRecord(
            f"A record of {len(value)} bytes ends before its schema's fingerprint.",
            reason="truncated",
        )
    if not value.startswith(MAGIC):
        return UndecodableRecord(
            f"A record that begins with {value[:4].hex(' ')} instead of c3 01 is none of"
            " eventflow: Avro single-object encoding is expected.",
            reason="bad-magic",
        )
    return UnknownSchema(value[len(MAGIC) : HEADER_BYTES])


def _misfit(body: BytesIO, value: bytes, reading: _Reading, error: Exception) -> UndecodableRecord:
    # Past the end fastavro raises EOFError, or IndexError inside of a union's branch.
    is_short = isinstance(error, EOFError) or (
        isinstance(error, IndexError) and body.tell() >= len(value)
    )
    return UndecodableRecord(
        f"A record of {reading.writer['name']} cannot be read: {type(error).__name__}: {error}.",
        reason="truncated" if is_short else "malformed",
    )
