"""Schemas that other programs wrote records with, before we read anything by them.

Whoever may write to the `schemas` topic hands us a program for the Avro reader. Two kinds would
harm the process that runs it: a recursive schema (the reader recurses in C with the data: a
short record overflows the stack, *seen*: SIGSEGV), and types of no bytes (a count of 2^60 of
them is a loop without end). Our records need neither, so both are refused.
"""

from __future__ import annotations

import json
from typing import Any

from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from eventflow.errors import UndecodableRecord

__all__ = ["parse_writer_schema"]

_NO_SCHEMA = (
    SchemaParseException,
    *(AttributeError, LookupError, RecursionError, TypeError, ValueError),
)


def parse_writer_schema(schema_json: str | bytes) -> dict[str, Any]:
    """The parsed schema of a record that is safe to read by.

    Raises:
        UndecodableRecord: it is no schema of a record, or not safe; reason `unknown-schema`.
    """
    try:
        schema = parse_schema(json.loads(schema_json), named_schemas={})
    except _NO_SCHEMA as error:
        raise _refusal(f"what `schemas` has for it is no Avro schema: {error}") from error
    if not isinstance(schema, dict) or schema["type"] != "record":
        raise _refusal("what `schemas` has for it is no schema of a record")
    _check(schema, ())
    return schema


def _check(schema: Any, within: tuple[str, ...]) -> None:
    """Each named type is defined once, where it is met first, so each is looked at once."""
    match schema:
        case "null":
            raise _refusal("it has a null outside of a union")
        case str() if schema in within:
            raise _refusal(f"its type {schema} contains itself")
        case list():
            for branch in schema:
                if branch not in ("null", {"type": "null"}):
                    _check(branch, within)
        case dict():
            _check_definition(schema, within)


def _check_definition(schema: dict[str, Any], within: tuple[str, ...]) -> None:
    match schema["type"]:
        case "record" | "error":
            if not schema["fields"]:
                raise _refusal(f"its record {schema['name']} has no fields")
            for field in schema["fields"]:
                _check(field["type"], (*within, schema["name"]))
        case "array":
            _check(schema["items"], within)
        case "map":
            _check(schema["values"], within)
        case "fixed":
            if not (isinstance(schema["size"], int) and schema["size"] > 0):
                raise _refusal(f"its type {schema['name']} has no bytes")
        case other:
            _check(other, within)


def _refusal(why: str) -> UndecodableRecord:
    return UndecodableRecord(
        f"The schema that this record was written with cannot be used: {why}.",
        reason="unknown-schema",
    )
