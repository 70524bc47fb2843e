"""Frames and series of polars, as an Arrow IPC stream that polars itself writes and reads.

Copied once each way. A frame with a column of Python objects is left to pickle.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.store.encoders.ipc import needed
from eventflow.store.pieces import Sink

if TYPE_CHECKING:
    from eventflow.store.pieces import Buffer, Pieces

__all__ = ["as_polars", "from_polars", "from_polars_series"]


def as_polars(value: Any) -> tuple[str, Pieces] | None:
    """The encoder and its stream; None of what would come back changed, and of anything else."""
    polars = sys.modules["polars"]
    kind = {polars.DataFrame: "polars", polars.Series: "polars-series"}.get(type(value))
    if kind is None:
        return None
    frame = value if kind == "polars" else value.to_frame()
    if any(each.is_(polars.Object) for each in frame.schema.dtypes()):
        return None
    try:
        is_exact = from_polars(_written(frame.clear()).joined()).schema == frame.schema
        return (kind, _written(frame)) if is_exact else None
    except Exception:  # noqa: BLE001 - whatever polars says against it, pickle may do it
        return None


def from_polars(data: Buffer) -> Any:
    """The frame.

    Raises:
        ArtifactNotReadable: polars is not installed.
        CorruptObject: it is no stream that polars reads.
    """
    polars = needed("polars")
    try:
        return polars.read_ipc_stream(io.BytesIO(data))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise CorruptObject(f"A value is marked as polars data and is not: {error}.") from error


def from_polars_series(data: Buffer) -> Any:
    """The series."""
    return from_polars(data).to_series()


def _written(frame: Any) -> Pieces:
    sink = Sink()
    frame.write_ipc_stream(sink)
    return sink.pieces()
