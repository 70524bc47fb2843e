"""Schemas: whole, documented, fit for Spark, and the same wherever they are nested."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import fastavro
import pytest

from eventflow.codec.codec import Codec
from eventflow.codec.fingerprint import fingerprint
from eventflow.codec.records import RECORDS
from eventflow.codec.schemas import schema_text
from eventflow.codec.writer_schema import parse_writer_schema
from eventflow.model.run import Cause
from eventflow.model.topics import Topics
from tests.support.records import hints_of

FOLDER = Path(__file__).parents[2] / "schemas"
KINDS: dict[str, Any] = {**RECORDS, "Cause": Cause}
SCHEMAS: dict[str, Any] = {name: json.loads(schema_text(name)) for name in KINDS}
EACH = pytest.mark.parametrize("name", KINDS)


def records_in(schema: Any) -> Iterator[dict[str, Any]]:
    """The records that a schema defines, nested ones too."""
    if isinstance(schema, list):
        for branch in schema:
            yield from records_in(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            yield schema
            for field in schema["fields"]:
                yield from records_in(field["type"])
        yield from records_in(schema.get("items"))


def dataclasses_in(annotation: Any) -> Iterator[Any]:
    """The dataclasses that an annotation names, those of their fields too."""
    if is_dataclass(annotation):
        yield annotation
        for hint in hints_of(annotation).values():
            yield from dataclasses_in(hint)
    for argument in get_args(annotation):
        yield from dataclasses_in(argument)


def unions_in(schema: Any) -> Iterator[list[Any]]:
    if isinstance(schema, list):
        yield schema
        for branch in schema:
            yield from unions_in(branch)
    elif isinstance(schema, dict):
        for field in schema.get("fields", ()):
            yield from unions_in(field["type"])
        yield from unions_in(schema.get("items"))
        yield from unions_in(schema.get("values"))


def flat(record: dict[str, Any]) -> str:
    """A record's definition with the types that it nests by name only."""

    def by_name(schema: Any) -> Any:
        if isinstance(schema, list):
            return [by_name(branch) for branch in schema]
        if isinstance(schema, dict) and schema["type"] == "record":
            return schema["name"]
        if isinstance(schema, dict) and "items" in schema:
            return schema | {"items": by_name(schema["items"])}
        return schema

    own = [each | {"type": by_name(each["type"])} for each in record["fields"]]
    return json.dumps([record["doc"], own], sort_keys=True)


def kind_of(record: str, outer: Any) -> Any:
    """The dataclass of a (nested) record of that name."""
    names = {each.__name__: each for each in dataclasses_in(outer)}
    return RECORDS.get(record) or names[record]


def test_the_folder_has_a_schema_for_each_record_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*.avsc")} == set(KINDS)


@EACH
def test_a_schema_stands_on_its_own_in_our_namespace(name: str) -> None:
    parsed: Any = fastavro.parse_schema(SCHEMAS[name], named_schemas={})

    assert parsed["name"] == f"eventflow.{name}"


@EACH
def test_every_record_and_every_field_is_documented(name: str) -> None:
    for record in records_in(SCHEMAS[name]):
        for each in (record, *record["fields"]):
            assert each.get("doc", "").endswith("."), f"{record['name']}: {each['name']}"


@EACH
def test_a_schema_has_the_fields_of_its_dataclass_in_their_order(name: str) -> None:
    for record in records_in(SCHEMAS[name]):
        kind = kind_of(record["name"], KINDS[name])

        assert [each["name"] for each in record["fields"]] == [each.name for each in fields(kind)]


@EACH
def test_what_is_optional_has_the_same_default_in_both(name: str) -> None:
    for record in records_in(SCHEMAS[name]):
        kind = kind_of(record["name"], KINDS[name])
        for field, ours in zip(record["fields"], fields(kind), strict=True):
            if ours.default is not MISSING:
                default = tuple(field["default"]) if ours.default == () else field["default"]
                assert default == ours.default, f"{record['name']}.{ours.name}"
            if NoneType in get_args(hints_of(kind)[ours.name]):
                assert field["default"] is None, f"{record['name']}.{ours.name}"


@EACH
def test_a_word_of_a_closed_list_is_a_string_whose_doc_has_the_list(name: str) -> None:
    for record in records_in(SCHEMAS[name]):
        kind = kind_of(record["name"], KINDS[name])
        for field in record["fields"]:
            hint = hints_of(kind)[field["name"]]
            for each in (hint, *get_args(hint)):
                if isinstance(each, type) and issubclass(each, StrEnum):
                    assert field["type"] in ("string", ["null", "string"])
                    assert all(str(word) in field["doc"] for word in each), field["name"]


@EACH
def test_spark_can_write_it_no_recursion_and_no_union_but_with_null(name: str) -> None:
    parse_writer_schema(schema_text(name))  # refuses a recursive one

    assert all(len(union) == 2 and union[0] == "null" for union in unions_in(SCHEMAS[name]))


@EACH
def test_times_keep_their_microseconds(name: str) -> None:
    timestamp = {"type": "long", "logicalType": "timestamp-micros"}
    for record in records_in(SCHEMAS[name]):
        hints = hints_of(kind_of(record["name"], KINDS[name]))
        for field in record["fields"]:
            is_time = hints[field["name"]] in (datetime, datetime | None)

            assert is_time == (field["type"] in (timestamp, ["null", timestamp])), field["name"]


def test_a_nested_type_is_the_same_in_every_file() -> None:
    definitions: dict[str, set[str]] = {}
    for schema in SCHEMAS.values():
        for record in records_in(schema):
            definitions.setdefault(record["name"], set()).add(flat(record))

    differing = [name for name, texts in definitions.items() if len(texts) > 1]

    assert differing == []


def test_the_codec_writes_with_these_schemas() -> None:
    published = Codec(Topics()).schemas

    assert {key: json.loads(text) for key, text in published.items()} == {
        fingerprint(SCHEMAS[name]): SCHEMAS[name] for name in RECORDS
    }


# The vectors of Avro's own tests (share/test/data/schema-tests.txt).
@pytest.mark.parametrize(
    ("schema", "number"),
    [
        ("null", 7195948357588979594),
        ({"type": "boolean"}, -6970731678124411036),
        ("int", 8247732601305521295),
        ("long", -3434872931120570953),
        ("float", 5583340709985441680),
        ("double", -8181574048448539266),
        ("bytes", 5746618253357095269),
        ("string", -8142146995180207161),
        ([], -1241056759729112623),
        (["int", {"type": "boolean"}], 5392556393470105090),
        ({"fields": [], "type": "record", "name": "foo"}, -4824392279771201922),
        (
            {"fields": [], "type": "record", "name": "foo", "doc": "x", "aliases": ["foo", "bar"]},
            -4824392279771201922,
        ),
        (
            {"fields": [], "type": "record", "name": "foo", "namespace": "x.y"},
            5916914534497305771,
        ),
        (
            {"fields": [], "type": "record", "name": "a.b.foo", "namespace": "x.y"},
            -4616218487480524110,
        ),
        (
            {
                "fields": [{"type": {"type": "boolean"}, "name": "f1"}],
                "type": "record",
                "name": "foo",
            },
            7843277075252814651,
        ),
        (
            {
                "fields": [
                    {"type": "boolean", "aliases": [], "name": "f1", "default": True},
                    {"order": "descending", "name": "f2", "doc": "Hello", "type": "int"},
                ],
                "type": "record",
                "name": "foo",
            },
            -4860222112080293046,
        ),
        (
            {
                "namespace": "x.y.z",
                "type": "enum",
                "name": "foo",
                "doc": "d",
                "symbols": ["A1", "A2"],
            },
            -4448647247586288245,
        ),
        (
            {"namespace": "x.y.z", "type": "fixed", "name": "foo", "doc": "d", "size": 32},
            -3064184465700546786,
        ),
        ({"items": {"type": "null"}, "type": "array"}, -589620603366471059),
        ({"values": "string", "type": "map"}, -8732877298790414990),
        (
            {
                "name": "PigValue",
                "type": "record",
                "fields": [{"name": "value", "type": ["null", "int", "long", "PigValue"]}],
            },
            -1759257747318642341,
        ),
    ],
)
def test_fingerprints_are_those_of_avros_own_tests(schema: Any, number: int) -> None:
    assert struct.unpack("<q", fingerprint(schema)) == (number,)


@pytest.mark.parametrize("name", RECORDS)
def test_docs_and_defaults_do_not_change_a_fingerprint_and_fields_do(name: str) -> None:
    bare = deepcopy(SCHEMAS[name])
    shorter = deepcopy(SCHEMAS[name])
    for record in records_in(bare):
        del record["doc"]
        for field in record["fields"]:
            field.pop("doc")
            field.pop("default", None)
    shorter["fields"].pop()

    assert fingerprint(bare) == fingerprint(SCHEMAS[name])
    assert fingerprint(shorter) != fingerprint(SCHEMAS[name])
