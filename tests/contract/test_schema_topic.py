"""The `schemas` topic: records need no registry, also those that a newer program wrote."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import fastavro
import pytest

from eventflow.bus.reading import read_to_end
from eventflow.bus.schema_topic import SchemaLookup, publish_schemas
from eventflow.codec.codec import Codec
from eventflow.codec.fingerprint import fingerprint
from eventflow.codec.records import RECORDS
from eventflow.codec.schemas import schema_text
from eventflow.errors import UndecodableRecord, UnknownSchema
from eventflow.model.log import NewRecord, Record, TopicPartition
from eventflow.model.topics import Topics
from tests.contract.buses import unique
from tests.support.records import event_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.bus.port import Bus, Reader


@pytest.fixture
def topics(bus: Bus) -> Topics:
    """An installation of its own, with its `schemas` topic."""
    topics = Topics(f"{unique('it')}.", 1, 1)
    bus.ensure([spec for spec in topics.specs() if spec.name == topics.schemas], create=True)
    return topics


def in_topic(bus: Bus, topics: Topics) -> list[Record]:
    return list(read_to_end(bus, TopicPartition(topics.schemas, 0)))


def put(bus: Bus, topics: Topics, key: bytes, value: bytes | None) -> None:
    bus.publish([NewRecord(topics.schemas, key, value)])


def newer(name: str) -> tuple[bytes, str]:
    """(value, schema) of an event as a program of a later version, `name`, writes it."""
    schema = json.loads(schema_text("Event"))
    schema["fields"].append({"name": name, "type": ["null", "string"], "default": None})
    fields: dict[str, Any] = {
        each["name"]: getattr(event_record(), each["name"]) for each in schema["fields"][:-1]
    }
    body = BytesIO()
    parsed = fastavro.parse_schema(schema, named_schemas={})
    fastavro.schemaless_writer(body, parsed, fields | {name: "later"})
    return b"\xc3\x01" + fingerprint(schema) + body.getvalue(), json.dumps(schema)


def key_of(value: bytes) -> bytes:
    return value[2:10].hex().encode()


def test_every_schema_is_published_once(bus: Bus, topics: Topics) -> None:
    codec = Codec(topics)

    first = publish_schemas(bus, codec, topics)
    again = publish_schemas(bus, Codec(topics), topics)

    assert (first, again) == (len(RECORDS), 0)
    assert {record.key: (record.value or b"").decode() for record in in_topic(bus, topics)} == {
        fingerprint(json.loads(schema)).hex().encode(): schema for schema in codec.schemas.values()
    }


def test_only_missing_schemas_are_published_and_a_removed_one_is_missing(
    bus: Bus, topics: Topics
) -> None:
    codec = Codec(topics)
    there, removed, *_ = codec.schemas
    put(bus, topics, there.hex().encode(), codec.schemas[there].encode())
    put(bus, topics, removed.hex().encode(), codec.schemas[removed].encode())
    put(bus, topics, removed.hex().encode(), None)

    published = publish_schemas(bus, codec, topics)

    assert published == len(RECORDS) - 1
    assert [record.key for record in in_topic(bus, topics)].count(there.hex().encode()) == 1


def test_a_record_with_a_known_schema_is_decoded_without_the_topic(bus: Bus) -> None:
    nowhere = Topics(f"{unique('it')}.", 1, 1)
    codec = Codec(nowhere)

    record = SchemaLookup(bus, codec, nowhere).decode(codec.encode(event_record()))

    assert record == event_record()


def test_a_record_of_a_newer_program_is_decoded_after_its_schema_was_looked_up(
    bus: Bus, topics: Topics
) -> None:
    lookup = SchemaLookup(bus, Codec(topics), topics)
    first, first_schema = newer("first")
    second, second_schema = newer("second")
    put(bus, topics, b"0000000000000000", b"of another program")
    put(bus, topics, key_of(first), first_schema.encode())

    assert lookup.decode(first) == event_record()
    with pytest.raises(UnknownSchema) as refused:
        lookup.decode(second)
    put(bus, topics, key_of(second), second_schema.encode())

    assert refused.value.fingerprint == second[2:10]
    assert lookup.decode(second) == event_record()


def test_a_schema_under_another_fingerprint_does_not_make_its_record_readable(
    bus: Bus, topics: Topics
) -> None:
    value, _ = newer("real")
    _, other = newer("other")
    put(bus, topics, key_of(value), other.encode())
    lookup = SchemaLookup(bus, Codec(topics), topics)

    assert not lookup.find(value[2:10])
    with pytest.raises(UnknownSchema):
        lookup.decode(value)


@pytest.mark.parametrize(
    "schema", [b"rubbish", b"\xff", b'{"type":"record","name":"eventflow.Event","fields":[]}']
)
def test_a_schema_that_cannot_be_used_makes_its_records_undecodable_and_no_others(
    bus: Bus, topics: Topics, schema: bytes
) -> None:
    bad, _ = newer("bad")
    good, good_schema = newer("good")
    put(bus, topics, key_of(bad), schema)
    put(bus, topics, key_of(good), good_schema.encode())
    lookup = SchemaLookup(bus, Codec(topics), topics)

    with pytest.raises(UndecodableRecord, match="cannot be used") as refused:
        lookup.decode(bad)

    assert refused.value.reason == "unknown-schema"
    assert lookup.decode(good) == event_record()


def test_a_record_that_is_none_is_refused_without_a_look_up(bus: Bus) -> None:
    nowhere = Topics(f"{unique('it')}.", 1, 1)
    lookup = SchemaLookup(bus, Codec(nowhere), nowhere)

    for value in (None, b"", b"\x00\x00\x00\x00\x01", b"\xc3\x01"):
        with pytest.raises(UndecodableRecord):
            lookup.decode(value)


def test_the_topic_is_read_on_from_where_it_was_read(bus: Bus, topics: Topics) -> None:
    counting = _CountingBus(bus)
    lookup = SchemaLookup(counting, Codec(topics), topics)  # type: ignore[arg-type]
    value, schema = newer("first")
    unknown = b"\xc3\x01" + bytes(8)
    put(bus, topics, key_of(value), schema.encode())

    for _ in range(3):
        with pytest.raises(UnknownSchema):
            lookup.decode(unknown)

    assert counting.starts == [0]
    assert lookup.decode(value) == event_record()


class _CountingBus:
    """A real bus that remembers from where it was read."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.starts: list[int] = []

    def high_watermark(self, partition: TopicPartition) -> int:
        return self._bus.high_watermark(partition)

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        self.starts.extend(start.values())
        return self._bus.reader(start)
