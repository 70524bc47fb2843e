"""Payloads: every type comes back as it went, and what cannot be carried is named."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.errors import InvalidParameter, InvalidPayload
from eventflow.model.deployment import ParameterType
from eventflow.model.payload import (
    MISSING,
    Payload,
    Value,
    convert,
    decode_payload,
    decode_value,
    encode_payload,
    field,
    is_missing,
)

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = TEXT | st.sampled_from(["$", "$$", "$bytes", "$timestamp", "$$bytes", "a.b", ""])
TIMES = st.datetimes(
    min_value=datetime(2, 1, 1),  # noqa: DTZ001  the strategy adds the zone
    max_value=datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
SCALARS = (
    st.none()
    | st.booleans()
    | INT64
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.binary(max_size=20)
    | TIMES
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(KEYS, VALUES, max_size=5)


def typed(value: Any) -> Any:
    """A value with its types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), value


@given(PAYLOADS)
def test_a_payload_comes_back_as_it_went(payload: Payload) -> None:
    back = decode_payload(encode_payload(payload))

    assert typed(back) == typed(payload)


@given(PAYLOADS)
def test_an_encoded_payload_is_a_json_object_in_utf8(payload: Payload) -> None:
    data = encode_payload(payload)

    assert isinstance(json.loads(data.decode()), dict)


@given(st.recursive(SCALARS.filter(lambda v: not isinstance(v, bytes | datetime)), st.lists))
def test_plain_json_of_another_producer_is_taken_as_it_stands(value: Any) -> None:
    foreign = json.dumps({"field": value, "nested": {"again": value}}).encode()

    payload = decode_payload(foreign)

    assert typed(payload) == typed({"field": value, "nested": {"again": value}})


def test_the_encoding_is_compact_and_tags_what_json_cannot_say() -> None:
    at = datetime(2026, 1, 31, 7, 0, tzinfo=timezone(timedelta(hours=1)))

    data = encode_payload({"n": 1, "raw": b"\x00\xff", "at": at, "$key": [True, None], "ü": 0.5})

    assert data.decode() == (
        '{"n":1,"raw":{"$bytes":"AP8="},"at":{"$timestamp":"2026-01-31T06:00:00.000000Z"},'
        '"$$key":[true,null],"ü":0.5}'
    )


def test_objects_that_only_look_like_tags_are_taken_as_they_stand() -> None:
    foreign = b'{"id":{"$oid":"5f"},"at":{"$timestamp":{"t":1,"i":2}},"two":{"$bytes":"","x":1}}'

    payload = decode_payload(foreign)

    assert payload == {
        "id": {"$oid": "5f"},
        "at": {"$timestamp": {"t": 1, "i": 2}},
        "two": {"$bytes": "", "x": 1},
    }
    assert decode_payload(encode_payload(payload)) == payload


@pytest.mark.parametrize(
    "text",
    ["2026-01-31T06:00:00Z", "2026-01-31T07:00:00+01:00", "2026-01-31T06:00:00.000000999Z"],
)
def test_a_timestamp_of_another_producer_is_read_in_any_zone(text: str) -> None:
    payload = decode_payload(json.dumps({"at": {"$timestamp": text}}).encode())

    assert payload == {"at": datetime(2026, 1, 31, 6, tzinfo=UTC)}
    assert isinstance(at := payload["at"], datetime)
    assert at.utcoffset() == timedelta()


def test_tuples_come_back_as_lists_and_subclasses_as_their_base() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Size(IntEnum):
        BIG = 3

    payload = OrderedDict(pair=(1, 2), colour=Colour.RED, size=Size.BIG)

    back = decode_payload(encode_payload(payload))

    assert typed(back) == typed({"pair": [1, 2], "colour": "red", "size": 3})


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        ({"orders": [{}, {}, {}, {"price": math.nan}]}, "orders[3].price"),
        ({"orders": {"price": math.inf}}, "orders.price"),
        ({"big": 2**63}, "big"),
        ({"small": -(2**63) - 1}, "small"),
        ({"at": datetime(2026, 1, 1)}, "at"),  # noqa: DTZ001  that is the point
        ({"at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}, "at"),
        ({"price": Decimal("1.5")}, "price"),
        ({"day": datetime(2026, 1, 1, tzinfo=UTC).date()}, "day"),
        ({"tags": [{"a"}]}, "tags[0]"),
        ({"nested": {1: "one"}}, "nested"),
        ({"half": "\ud800"}, "half"),
        ({"\udfff": 1}, "The payload"),
    ],
)
def test_what_an_event_cannot_carry_is_refused_with_the_path_of_the_field(
    payload: dict[str, Any], place: str
) -> None:
    with pytest.raises(InvalidPayload) as refused:
        encode_payload(payload)

    assert f"{place} " in str(refused.value)


def test_a_subclass_of_int_beyond_64_bits_is_refused_at_once() -> None:
    class Huge(IntEnum):
        ONE = 2**63

    with pytest.raises(InvalidPayload, match="n holds an integer of more than 64 bits"):
        encode_payload({"n": Huge.ONE})


@pytest.mark.parametrize("payload", [None, [], "text", 1])
def test_only_a_mapping_is_a_payload(payload: Any) -> None:
    with pytest.raises(InvalidPayload, match="mapping"):
        encode_payload(payload)


def test_a_payload_that_contains_itself_is_refused() -> None:
    payload: dict[str, Any] = {}
    payload["again"] = [payload]

    with pytest.raises(InvalidPayload, match="contains itself"):
        encode_payload(payload)


def test_the_deepest_payload_that_is_written_can_be_read() -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {"in": nested(levels - 1)} if levels else {}

    assert decode_payload(encode_payload(nested(99))) == nested(99)
    with pytest.raises(InvalidPayload, match="deeper than 100"):
        encode_payload(nested(100))
    with pytest.raises(InvalidPayload, match="deeper than 100"):
        decode_payload(json.dumps(nested(100)).encode())


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff{}", "no UTF-8"),
        (b"[1]", "no JSON object"),
        (b"null", "no JSON object, but null"),
        (b'{"a":NaN}', "a holds nan"),
        (b'{"a":[-Infinity]}', r"a\[0\] holds -inf"),
        (b'{"a":1e999}', "a holds inf"),
        (b'{"a":9223372036854775808}', "a holds an integer of more than 64 bits"),
        (b'{"a":' + b"9" * 5000 + b"}", "no JSON"),
        (b'{"a":' + b"[" * 100_000 + b"}", "no JSON"),
        (b'{"a":{"$bytes":"?"}}', "a is no base64"),
        (b'{"a":{"$bytes":"\\u00e4"}}', "a is no base64"),
        (b'{"a":{"$timestamp":"yesterday"}}', "a is no time"),
        (b'{"a":{"$timestamp":"2026-01-31T06:00:00"}}', "does not say its zone"),
        (b'{"a":{"$timestamp":"0001-01-01T00:00:00+01:00"}}', "a is no time"),
        (b'{"a":"\\ud800"}', "half a surrogate"),
        (b'{"\\ud800":1}', "half a surrogate"),
    ],
)
def test_bytes_that_are_no_payload_are_refused_with_what_is_wrong(
    data: bytes, complaint: str
) -> None:
    with pytest.raises(InvalidPayload, match=complaint):
        decode_payload(data)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(data: bytes) -> None:
    try:
        payload = decode_payload(data)
    except InvalidPayload:
        return

    assert decode_payload(encode_payload(payload)) == payload


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "x"),
        ("table.name", "orders"),
        ("table.deep.er", 1),
        ("a.b", "literal"),
        ("a.b.c", "under a literal key"),
        ("a.d", "nested"),
        ("gone", MISSING),
        ("table.gone", MISSING),
        ("name.x", MISSING),
        ("list.0", MISSING),
        ("nothing", None),
        ("nothing.x", MISSING),
    ],
)
def test_a_field_is_found_by_its_path_and_a_literal_key_goes_before(path: str, value: Any) -> None:
    payload: Payload = {
        "name": "x",
        "table": {"name": "orders", "deep": {"er": 1}},
        "a": {"b": "shadowed", "d": "nested"},
        "a.b": "literal",
        "list": [1],
        "nothing": None,
    }
    if path == "a.b.c":
        payload["a.b"] = {"c": value}

    assert field(payload, path) == value


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (5, "int", "5"),
        ("-5", "int", "-5"),
        ("+007", "int", "7"),
        (5, "float", "5.0"),
        (0.5, "float", "0.5"),
        ("1e3", "float", "1000.0"),
        (".5", "float", "0.5"),
        ("5.", "float", "5.0"),
        (True, "bool", "true"),
        ("FALSE", "bool", "false"),
        ("1", "bool", "true"),
        ("0", "bool", "false"),
        ("ü\n", "str", '"ü\\n"'),
        (5, "str", '"5"'),
        (0.5, "str", '"0.5"'),
        (True, "str", '"true"'),
        (datetime(2026, 1, 31, tzinfo=UTC), "str", '"2026-01-31T00:00:00.000000Z"'),
        (None, "json", "null"),
        ("text", "json", '"text"'),
        ({"a": [1, b"\x00"]}, "json", '{"a":[1,{"$bytes":"AA=="}]}'),
    ],
)
def test_a_value_becomes_the_json_text_of_its_parameter(value: Value, kind: str, text: str) -> None:
    assert convert(value, ParameterType(kind)) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "int"),
        (5.0, "int"),
        ("5.0", "int"),
        ("1_000", "int"),
        (" 5", "int"),
        ("\u0665", "int"),
        ("9223372036854775808", "int"),
        (2**63, "int"),
        (True, "float"),
        ("nan", "float"),
        ("inf", "float"),
        ("1e999", "float"),
        (10**400, "float"),
        ("1_0", "float"),
        ("", "float"),
        (1, "bool"),
        ("yes", "bool"),
        ([], "str"),
        (b"raw", "str"),
        (None, "str"),
        (None, "int"),
    ],
)
def test_a_value_of_another_type_is_refused(value: Value, kind: str) -> None:
    with pytest.raises(InvalidParameter, match=f"no value of type {kind}"):
        convert(value, ParameterType(kind))


def test_a_long_string_is_refused_as_a_number_in_no_time_and_shown_in_part() -> None:
    with pytest.raises(InvalidParameter) as refused:
        convert("1" * 500_000 + "x", ParameterType.FLOAT)

    assert len(str(refused.value)) < 200


@given(VALUES)
def test_a_json_parameter_gives_the_value_back(value: Value) -> None:
    assert typed(decode_value(convert(value, ParameterType.JSON))) == typed(value)


@given(SCALARS, st.sampled_from(ParameterType))
def test_a_converted_value_has_the_type_of_its_parameter(value: Value, kind: ParameterType) -> None:
    types = {"str": str, "int": int, "float": float, "bool": bool, "json": object}
    try:
        text = convert(value, kind)
    except InvalidParameter:
        return

    assert isinstance(decode_value(text), types[kind])


@pytest.mark.parametrize(
    ("value", "kind", "missing"),
    [
        (MISSING, "json", True),
        (MISSING, "int", True),
        (None, "int", True),
        (None, "json", False),
        (0, "int", False),
    ],
)
def test_null_counts_as_missing_save_for_a_json_parameter(
    value: Any, kind: str, missing: bool
) -> None:
    assert is_missing(value, ParameterType(kind)) is missing
