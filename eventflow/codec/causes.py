"""Causes of a run in a blob of the store, when they are too large for its request.

The blob is an Avro object container file (Avro 1.12, Object Container Files): it carries its
schema, so any Avro tool reads it, for ever, without the `schemas` topic. Equal causes give equal
bytes, so that a repeated request refers to the same blob.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import fastavro

from eventflow.codec.misfits import MISFITS
from eventflow.codec.schemas import schema_text
from eventflow.codec.shape import shape_of
from eventflow.errors import CorruptObject
from eventflow.model.run import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_causes", "write_causes"]

_SYNC_MARKER = b"eventflow.causes"  # 16 bytes; random in general, fixed for equal bytes


def write_causes(causes: Sequence[Cause]) -> bytes:
    """The causes as a container file, in their order."""
    to_avro = shape_of(Cause).to_avro
    assert to_avro is not None
    blob = BytesIO()
    rows = [to_avro(cause) for cause in causes]
    fastavro.writer(blob, _schema(), rows, sync_marker=_SYNC_MARKER)
    return blob.getvalue()


def read_causes(blob: bytes) -> tuple[Cause, ...]:
    """The causes in such a file, also when an older or newer eventflow wrote it.

    Raises:
        CorruptObject: it is no such file.
    """
    from_avro = shape_of(Cause).from_avro
    assert from_avro is not None
    try:
        rows: Any = fastavro.reader(BytesIO(blob), reader_schema=_schema())
        return tuple([from_avro(row) for row in rows])
    except MISFITS as error:
        raise CorruptObject(f"A blob of causes cannot be read: {error}.") from error


def _schema() -> fastavro.types.Schema:
    return fastavro.parse_schema(json.loads(schema_text("Cause")), named_schemas={})
