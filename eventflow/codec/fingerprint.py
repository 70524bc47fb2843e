"""Fingerprints: which schema a record was written with (Avro 1.12, Schema Fingerprints)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastavro.schema import fingerprint as fastavro_fingerprint
from fastavro.schema import to_parsing_canonical_form

if TYPE_CHECKING:
    from fastavro.types import Schema

__all__ = ["fingerprint"]


def fingerprint(schema: Schema) -> bytes:
    """CRC-64-AVRO of the Parsing Canonical Form: 8 bytes, little-endian, as they stand in a record.

    Equal for schemas that differ only in docs, defaults, aliases and logical types.
    """
    canonical = to_parsing_canonical_form(schema)
    # fastavro's hexadecimal is that of the little-endian bytes, not that of the number.
    return bytes.fromhex(fastavro_fingerprint(canonical, "CRC-64-AVRO"))
