"""The codec: every record comes back as it went, and nothing else is taken for one."""

from __future__ import annotations

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eventflow.codec.codec import Codec
from eventflow.codec.fingerprint import fingerprint
from eventflow.codec.records import RECORDS, AnyRecord
from eventflow.codec.schemas import schema_text
from eventflow.errors import CorruptObject, EventTooLarge, UndecodableRecord, UnknownSchema
from eventflow.model.completion import Completion, Outcome
from eventflow.model.event import EventRecord
from eventflow.model.offset import Offset
from eventflow.model.run import Cause, RunRecord, RunRequest
from eventflow.model.topics import Topics
from tests.support.records import AT, EXAMPLES, ORIGIN, event_record, example_of, strategy_of

CODEC = Codec(Topics("test.", 12, 12))
MAGIC = b"\xc3\x01"
NAMES = [type(each).__name__ for each in EXAMPLES]
HEADER_BYTES = 10
LARGEST_EVENT_BYTES = 512 * 1024


def avro(name: str) -> Any:
    return json.loads(schema_text(name))


def written_by(schema: Any, fields: dict[str, Any]) -> bytes:
    """A record as another program, with another schema, writes it."""
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema, named_schemas={}), fields)
    return MAGIC + fingerprint(schema) + body.getvalue()


@pytest.mark.parametrize("kind", RECORDS.values(), ids=RECORDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_record_comes_back_as_it_went(kind: type[AnyRecord], data: st.DataObject) -> None:
    record = data.draw(strategy_of(kind))

    back = CODEC.decode(CODEC.encode(record))

    assert back == record
    assert type(back) is kind


def test_the_examples_have_every_record_once() -> None:
    assert [type(each) for each in EXAMPLES] == list(RECORDS.values())


def test_enums_tuples_and_times_come_back_as_their_types() -> None:
    record = replace(example_of(RunRecord), outcome=Outcome.FAILED, finished_at=AT)

    back = CODEC.decode(CODEC.encode(record))

    assert isinstance(back, RunRecord)
    assert back.outcome is Outcome.FAILED
    assert back.finished_at is not None
    assert back.finished_at.isoformat() == "2026-01-31T06:30:15.123456+00:00"
    assert isinstance(back.request.causes, tuple)
    assert isinstance(back.request.causes[0], Cause)
    assert isinstance(back.request.causes[0].origin, Offset)


def test_a_value_is_avro_single_object_encoding() -> None:
    record = event_record()
    schema = avro("Event")

    value = CODEC.encode(record)

    assert value[:2] == MAGIC
    assert value[2:10] == fingerprint(schema)
    body = fastavro.schemaless_reader(BytesIO(value[10:]), schema, None)
    assert isinstance(body, dict)
    assert (body["name"], body["payload"]) == (record.name, record.payload)


def test_a_naive_time_is_never_written() -> None:
    naive = datetime(2026, 1, 31)  # noqa: DTZ001  that is the point

    with pytest.raises(ValueError, match="no time zone"):
        CODEC.encode(event_record(published_at=naive))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "truncated"),
        (b"\xc3", "truncated"),
        (b"\xc3\x01\x00\x00", "truncated"),
        (b"\x00", "bad-magic"),
        (b"\x00\x00\x00\x00\x07confluent", "bad-magic"),
        (b'{"name":"json"}', "bad-magic"),
        (b"\xc3\x02" + b"\x00" * 20, "bad-magic"),
    ],
)
def test_a_value_that_is_no_record_is_refused_with_a_reason(
    value: bytes | None, reason: str
) -> None:
    with pytest.raises(UndecodableRecord) as refused:
        CODEC.decode(value)

    assert refused.value.reason == reason


def test_an_unknown_fingerprint_is_said_for_a_look_up() -> None:
    unknown = bytes(range(8))

    with pytest.raises(UnknownSchema) as refused:
        CODEC.decode(MAGIC + unknown + b"body")

    assert refused.value.fingerprint == unknown
    assert refused.value.reason == "unknown-schema"
    assert not CODEC.knows(unknown)


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_a_record_cut_off_anywhere_is_truncated(record: AnyRecord) -> None:
    value = CODEC.encode(record)

    for length in range(len(value)):
        with pytest.raises(UndecodableRecord) as refused:
            CODEC.decode(value[:length])
        assert refused.value.reason == "truncated", length


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_a_record_that_goes_on_after_its_end_is_malformed(record: AnyRecord) -> None:
    with pytest.raises(UndecodableRecord, match="goes on after its end") as refused:
        CODEC.decode(CODEC.encode(record) + b"\x00")

    assert refused.value.reason == "malformed"


def test_a_word_that_its_list_does_not_have_is_malformed() -> None:
    value = CODEC.encode(example_of(Completion)).replace(b"succeeded", b"exploded!")

    with pytest.raises(UndecodableRecord, match=r"Completion.*'exploded!'") as refused:
        CODEC.decode(value)

    assert refused.value.reason == "malformed"


def test_a_number_that_cannot_be_counted_on_is_malformed() -> None:
    largest = CODEC.encode(event_record(hops=2**62 - 1))
    beyond = CODEC.encode(event_record(hops=2**63 - 1))

    assert CODEC.decode(largest) == event_record(hops=2**62 - 1)
    with pytest.raises(UndecodableRecord, match="more than 62 bits") as refused:
        CODEC.decode(beyond)
    assert refused.value.reason == "malformed"


@settings(max_examples=400)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_damaged_record_is_refused_or_read_and_never_anything_else(
    record: AnyRecord, data: st.DataObject
) -> None:
    value = bytearray(CODEC.encode(record))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(HEADER_BYTES, len(value) - 1))
        value[place] = data.draw(st.sampled_from([0, 1, 2, 127, 128, 254, 255]))

    try:
        back = CODEC.decode(bytes(value))
    except UndecodableRecord as error:
        refused = error
    else:
        assert type(back) is type(record)
        return

    assert refused.reason in {"truncated", "malformed"}
    assert len(str(refused)) < 1000


def test_a_record_of_a_newer_program_is_read_after_its_schema_is_learnt() -> None:
    codec = Codec(Topics())
    newer = avro("Event")
    newer["fields"].insert(0, {"name": "priority", "type": "int", "default": 0})
    fields = {each["name"]: getattr(event_record(), each["name"]) for each in newer["fields"][1:]}
    value = written_by(newer, fields | {"priority": 7})

    with pytest.raises(UnknownSchema):
        codec.decode(value)
    codec.learn(json.dumps(newer))

    assert codec.decode(value) == event_record()
    assert codec.knows(value[2:10])


def test_a_record_of_an_older_program_gets_the_defaults_of_what_it_lacks() -> None:
    codec = Codec(Topics())
    older = avro("Event")
    older["fields"] = older["fields"][:8]
    value = written_by(
        older, {each["name"]: getattr(event_record(), each["name"]) for each in older["fields"]}
    )
    codec.learn(json.dumps(older))

    first, second = codec.decode(value), codec.decode(value)

    assert first == second == event_record()
    assert isinstance(first, EventRecord)
    assert (first.publisher, first.roots, first.hops) == (None, (), 0)


def test_a_writers_schema_that_ours_cannot_be_made_of_makes_its_records_malformed() -> None:
    codec = Codec(Topics())
    older = avro("RunReport")
    older["fields"] = older["fields"][:1]
    codec.learn(json.dumps(older))

    with pytest.raises(UndecodableRecord) as refused:
        codec.decode(written_by(older, {"run_id": "r1"}))

    assert refused.value.reason == "malformed"


def test_learning_what_is_known_changes_nothing() -> None:
    codec = Codec(Topics())

    for schema in codec.schemas.values():
        codec.learn(schema)

    assert all(codec.decode(codec.encode(each)) == each for each in EXAMPLES)


def of_field(schema: Any) -> str:
    """An Event with one more field of that type."""
    event = avro("Event")
    event["fields"].append({"name": "extra", "type": schema})
    return json.dumps(event)


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ("", "no Avro schema"),
        ("{", "no Avro schema"),
        ("null", "no Avro schema"),
        ("{}", "no Avro schema"),
        ('{"type":"record"}', "no Avro schema"),
        ('{"type":"record","name":"eventflow.Event","fields":[{}]}', "no Avro schema"),
        ("[" * 100_000, "no Avro schema"),
        ('"string"', "no schema of a record"),
        ('["null"]', "no schema of a record"),
        ('{"type":"record","name":"eventflow.Event","fields":[]}', "has no fields"),
        (
            '{"type":"record","name":"com.acme.Order","fields":[{"name":"id","type":"int"}]}',
            "com.acme.Order, which is no record of eventflow",
        ),
        (
            '{"type":"record","name":"Event","fields":[{"name":"id","type":"int"}]}',
            "no record of eventflow",
        ),
        (of_field(["null", "Event"]), "contains itself"),
        (of_field({"type": "map", "values": "eventflow.Event"}), "contains itself"),
        (
            of_field(
                {
                    "type": "record",
                    "name": "A",
                    "fields": [
                        {
                            "name": "b",
                            "type": {
                                "type": "record",
                                "name": "B",
                                "fields": [{"name": "a", "type": {"type": "array", "items": "A"}}],
                            },
                        }
                    ],
                }
            ),
            "contains itself",
        ),
        (of_field("null"), "null outside of a union"),
        (of_field({"type": "null"}), "null outside of a union"),
        (of_field({"type": "array", "items": "null"}), "null outside of a union"),
        (of_field({"type": "array", "items": {"type": "record", "name": "E", "fields": []}}), "no"),
        (of_field({"type": "fixed", "name": "F", "size": 0}), "has no bytes"),
    ],
)
def test_a_schema_that_is_none_of_ours_or_would_harm_its_reader_is_not_learnt(
    schema: str, complaint: str
) -> None:
    codec = Codec(Topics())

    with pytest.raises(UndecodableRecord, match=complaint) as refused:
        codec.learn(schema)

    assert refused.value.reason == "unknown-schema"


def test_a_type_that_is_used_twice_does_not_contain_itself() -> None:
    codec = Codec(Topics())

    codec.learn(of_field({"type": "array", "items": ["null", "eventflow.Offset"]}))

    assert codec.decode(codec.encode(event_record())) == event_record()


def test_a_codec_is_used_by_several_threads_at_once() -> None:
    with ThreadPoolExecutor(4) as pool:
        backs = list(pool.map(lambda each: CODEC.decode(CODEC.encode(each)), EXAMPLES * 50))

    assert backs == list(EXAMPLES * 50)


def test_an_event_of_512_kib_is_written_and_a_larger_one_is_refused() -> None:
    overhead = len(CODEC.encode(event_record(payload=b"x" * LARGEST_EVENT_BYTES)))
    fitting = LARGEST_EVENT_BYTES - (overhead - LARGEST_EVENT_BYTES)

    record = CODEC.new_record(event_record(payload=b"x" * fitting))

    assert record.value is not None
    assert len(record.value) == LARGEST_EVENT_BYTES
    with pytest.raises(EventTooLarge, match="data_updated has 524289 bytes"):
        CODEC.new_record(event_record(payload=b"x" * (fitting + 1)))


@given(st.lists(strategy_of(Cause), max_size=3).map(tuple))
@example(())
def test_causes_come_back_from_their_blob_and_equal_ones_give_equal_bytes(
    causes: tuple[Cause, ...],
) -> None:
    blob = CODEC.causes_to_bytes(causes)

    assert CODEC.causes_from_bytes(blob) == causes
    assert Codec(Topics()).causes_to_bytes(causes) == blob


def test_a_blob_of_causes_is_an_avro_container_file_that_any_tool_reads() -> None:
    causes = example_of(RunRequest).causes

    rows: list[Any] = list(fastavro.reader(BytesIO(CODEC.causes_to_bytes(causes))))

    assert rows[0]["origin"]["offset"] == ORIGIN.offset
    assert rows[0]["at"] == AT


@pytest.mark.parametrize("damage", [b"", b"Obj\x01", b"no container"])
def test_a_blob_that_holds_no_causes_is_corrupt(damage: bytes) -> None:
    with pytest.raises(CorruptObject):
        CODEC.causes_from_bytes(damage)


def test_a_blob_of_causes_that_is_cut_off_is_corrupt() -> None:
    blob = CODEC.causes_to_bytes(example_of(RunRequest).causes * 3)

    with pytest.raises(CorruptObject):
        CODEC.causes_from_bytes(blob[:-20])


def test_the_fingerprint_of_null_is_the_number_of_the_specification() -> None:
    (number,) = struct.unpack("<Q", fingerprint("null"))

    assert number == 0x63DD24E7CC258F8A
