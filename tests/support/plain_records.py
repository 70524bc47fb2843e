"""What a record says, by plain fastavro and the published schemas: read without eventflow."""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decoded"]

_SCHEMAS = Path(__file__).parents[2] / "schemas"
_HEADER_BYTES = 10


def decoded(value: bytes | None) -> tuple[str, dict[str, Any]]:
    """(name of the schema, fields); nothing of a tombstone, or of what is no record of ours."""
    schema = _schemas().get((value or b"")[2:_HEADER_BYTES])
    if value is None or schema is None:
        return "", {}
    said: Any = schemaless_reader(BytesIO(value[_HEADER_BYTES:]), schema, None)
    return str(schema["name"]).rsplit(".", maxsplit=1)[-1], said


@cache
def _schemas() -> Mapping[bytes, Any]:
    found = {}
    for file in sorted(_SCHEMAS.glob("*.avsc")):
        raw = json.loads(file.read_text())
        crc = fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO")
        found[bytes.fromhex(crc)] = parse_schema(raw, named_schemas={})
    return found
