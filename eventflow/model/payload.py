"""Payloads: what an event carries, as JSON that any producer can write (docs/protocols.md §1).

A payload is one JSON object in UTF-8. Null, bool, int64, finite floats, strings, lists and
objects are plain JSON; what JSON cannot say is tagged:

    bytes       {"$bytes": "<base64>"}
    timestamp   {"$timestamp": "2026-01-31T06:00:00.000000Z"}

and a key of the payload that begins with `$` gets one more in front. A tag is an object with that
one key and a string; any other object is taken as it stands, also one with `$` keys that we do
not know, so that foreign JSON is understood. `decode_payload(encode_payload(p)) == p`, where a
tuple comes back as a list and a timestamp in UTC.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, TypeAlias

from eventflow.errors import InvalidParameter, InvalidPayload
from eventflow.model.deployment import ParameterType

__all__ = [
    "MISSING",
    "Missing",
    "Payload",
    "Value",
    "convert",
    "decode_payload",
    "decode_value",
    "encode_payload",
    "encode_value",
    "field",
    "is_missing",
    "timestamp_text",
]

Value: TypeAlias = "bool | int | float | str | bytes | datetime | list[Value] | Payload | None"
Payload: TypeAlias = dict[str, "Value"]
Path: TypeAlias = tuple[str | int, ...]

DEEPEST = 100
"""Levels of nesting that a payload may have: far from Python's own limit, on both sides."""

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLS = {"true": "true", "1": "true", "false": "false", "0": "false"}


class Missing(Enum):
    """The type of `MISSING`, for type checkers."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""What `field` answers when there is no such field; null is a value."""


def encode_payload(payload: Mapping[str, Any]) -> bytes:
    """The payload as compact JSON.

    Raises:
        InvalidPayload: it holds what an event cannot carry; the message names the field.
    """
    if not isinstance(payload, Mapping):
        raise InvalidPayload(
            f"A payload is a mapping of names to values, not {type(payload).__name__}."
        )
    return encode_value(payload).encode()


def decode_payload(data: bytes) -> Payload:
    """The payload that `data` says, also when another producer wrote it.

    Raises:
        InvalidPayload: it is no JSON object in UTF-8, or holds what an event cannot carry.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"The payload is no UTF-8: {error}.") from error
    value = decode_value(text)
    if not isinstance(value, dict):
        raise InvalidPayload(f"The payload is no JSON object, but {_json_type(value)}.")
    return value


def encode_value(value: object) -> str:
    """One value, of the types that a payload has, as compact JSON text with tags.

    Raises:
        InvalidPayload: as of `encode_payload`.
    """
    return json.dumps(_tagged(value, ()), ensure_ascii=False, separators=(",", ":"))


def decode_value(text: str) -> Value:
    """The value of such a text.

    Raises:
        InvalidPayload: as of `decode_payload`.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"The payload is no JSON: {error}.") from error
    return _untagged(raw, ())


def field(payload: Mapping[str, Value], path: str) -> Value | Missing:
    """The field at `path`, or MISSING. `table.name` is the field `name` of the object `table`;
    a key that has the dots in it goes before, the longest first."""
    if path in payload:
        return payload[path]
    head, tail = path, ""
    while "." in head:
        head, _, last = head.rpartition(".")
        tail = f"{last}.{tail}" if tail else last
        inner = payload.get(head)
        if isinstance(inner, dict) and (found := field(inner, tail)) is not MISSING:
            return found
    return MISSING


def is_missing(value: Value | Missing, kind: ParameterType) -> bool:
    """Whether a parameter of that type has no value here: null counts as missing, save for JSON."""
    return value is MISSING or (value is None and kind is not ParameterType.JSON)


def convert(value: Value, kind: ParameterType) -> str:
    """The value of a parameter of that type, as JSON text (which `decode_value` reads).

    - int: an integer, or a string that is one.
    - float: a number, or a string that is one; finite.
    - bool: true, false, or one of the strings true, false, 1, 0 in any case.
    - str: a string, a number (its JSON text), a bool (`true`), a timestamp (RFC 3339, UTC).
    - json: everything, as `encode_value` writes it.
    - file, config: nothing; they are no values of events.

    Raises:
        InvalidParameter: the value is none of these.
    """
    text = _converted(value, kind)
    if text is None:
        shown = repr(value)
        raise InvalidParameter(
            f"{shown[:80]}{'…' if len(shown) > 80 else ''} is no value of type {kind}."
        )
    return text


def timestamp_text(at: datetime) -> str:
    """An aware time as RFC 3339 in UTC, with microseconds."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _converted(value: Value, kind: ParameterType) -> str | None:
    match kind:
        case ParameterType.INT:
            return _int_text(value)
        case ParameterType.FLOAT:
            return _float_text(value)
        case ParameterType.BOOL:
            return _BOOLS.get(str(value).lower()) if isinstance(value, bool | str) else None
        case ParameterType.STR:
            return _str_text(value)
        case ParameterType.JSON:
            return encode_value(value)
        case ParameterType.FILE | ParameterType.CONFIG:
            return None


def _int_text(value: Value) -> str | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return str(value) if _INT64_MIN <= value <= _INT64_MAX else None


def _float_text(value: Value) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return json.dumps(number) if math.isfinite(number) else None


def _str_text(value: Value) -> str | None:
    match value:
        case str():
            text = value
        case bool() | int() | float():
            text = json.dumps(value)
        case datetime():
            text = timestamp_text(value)
        case _:
            return None
    return json.dumps(text, ensure_ascii=False)


def _tagged(value: object, path: Path) -> object:
    match value:
        case None | bool():
            return value
        case int() | float() | str():
            return _checked(value, path)
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$timestamp": _checked_timestamp(value, path)}
        case list() | tuple():
            _check_depth(path)
            return [_tagged(item, (*path, i)) for i, item in enumerate(value)]
        case Mapping():
            _check_depth(path)
            return {_escaped(key, path): _tagged(item, (*path, key)) for key, item in value.items()}
    raise _refusal(
        path,
        f"a value of type {type(value).__name__}; an event carries None, bool, int, float, str,"
        " bytes, datetime, lists and dicts of these",
    )


def _untagged(raw: Any, path: Path) -> Value:
    if isinstance(raw, dict):
        _check_depth(path)
        if len(raw) == 1 and isinstance(text := raw.get("$bytes"), str):
            return _bytes(text, path)
        if len(raw) == 1 and isinstance(text := raw.get("$timestamp"), str):
            return _timestamp(text, path)
        return {_unescaped(key, path): _untagged(item, (*path, key)) for key, item in raw.items()}
    if isinstance(raw, list):
        _check_depth(path)
        return [_untagged(item, (*path, i)) for i, item in enumerate(raw)]
    if raw is None or raw is True or raw is False:
        return raw
    return _checked(raw, path)


def _checked(value: int | float | str, path: Path) -> int | float | str:
    if isinstance(value, str):
        if not value.isascii():
            _check_unicode(value, path)
    elif isinstance(value, int):
        if not _INT64_MIN <= value <= _INT64_MAX:
            raise _refusal(path, "an integer of more than 64 bits; send it as a string")
    elif not math.isfinite(value):
        raise _refusal(path, f"{value}, which is no JSON number; send null or a string")
    return value


def _check_unicode(text: str, path: Path) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidPayload(f"{_shown(path)} has half a surrogate pair, no Unicode.") from error


def _check_depth(path: Path) -> None:
    if len(path) >= DEEPEST:
        raise InvalidPayload(
            f"{_shown(path[:3])}… is nested deeper than {DEEPEST} levels, or contains itself."
        )


def _escaped(key: object, path: Path) -> str:
    if not isinstance(key, str):
        raise _refusal(path, f"the key {key!r}, which is no string")
    _checked(key, path)
    return f"${key}" if key.startswith("$") else str(key)


def _unescaped(key: str, path: Path) -> str:
    _checked(key, path)
    return key[1:] if key.startswith("$$") else key


def _bytes(text: str, path: Path) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidPayload(f"{_shown(path)} is no base64 in $bytes: {error}.") from error


def _timestamp(text: str, path: Path) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise _refusal(path, f"the time {text}, which does not say its zone; end it with Z")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidPayload(f"{_shown(path)} is no time in $timestamp: {error}.") from error


def _checked_timestamp(at: datetime, path: Path) -> str:
    if at.tzinfo is None:
        raise _refusal(path, "a datetime without a time zone; use datetime.now(UTC)")
    try:
        return timestamp_text(at)
    except OverflowError as error:
        raise InvalidPayload(f"{_shown(path)} is a time beyond the year 9999 or 1.") from error


def _refusal(path: Path, what: str) -> InvalidPayload:
    return InvalidPayload(f"{_shown(path)} holds {what}.")


def _shown(path: Path) -> str:
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"The payload's {shown.lstrip('.')}" if shown else "The payload"


def _json_type(value: Value) -> str:
    return "null" if value is None else type(value).__name__
