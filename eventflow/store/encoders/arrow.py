"""Tables and record batches of pyarrow, as an Arrow IPC stream.

What is read is a view of the bytes; like every table it cannot be changed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from eventflow.store.encoders.ipc import read_stream, write_stream

if TYPE_CHECKING:
    from eventflow.store.pieces import Buffer, Pieces

__all__ = ["as_arrow", "from_arrow", "from_arrow_batch"]


def as_arrow(value: object) -> tuple[str, Pieces] | None:
    """The encoder and its stream; None of what a stream cannot have, and of anything else."""
    pyarrow = sys.modules["pyarrow"]
    if type(value) not in {pyarrow.Table, pyarrow.RecordBatch}:
        return None
    try:
        pieces = write_stream(pyarrow, value)
    except (pyarrow.ArrowException, OSError):
        return None
    return ("arrow" if type(value) is pyarrow.Table else "arrow-batch"), pieces


def from_arrow(data: Buffer) -> Any:
    """The table."""
    return read_stream(data, lambda reader: reader.read_all())


def from_arrow_batch(data: Buffer) -> Any:
    """The record batch."""
    return read_stream(data, lambda reader: reader.read_next_batch())
