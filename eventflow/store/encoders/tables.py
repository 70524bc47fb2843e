"""The encoders that are only imported by who has a table, or a frame: nearly no task has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventflow.store.encoders.arrow import as_arrow, from_arrow, from_arrow_batch
from eventflow.store.encoders.pandas_data import (
    as_pandas,
    from_pandas,
    from_pandas_index,
    from_pandas_series,
)
from eventflow.store.encoders.polars_data import as_polars, from_polars, from_polars_series
from eventflow.store.pieces import Buffer, Pieces

__all__ = ["READERS", "WRITERS"]

WRITERS: dict[str, Callable[[Any], tuple[str, Pieces] | None]] = {
    "pandas": as_pandas,
    "polars": as_polars,
    "pyarrow": as_arrow,
}
"""By the package that the type of a value comes from, which is imported then."""

READERS: dict[str, Callable[[Buffer], Any]] = {
    "arrow": from_arrow,
    "arrow-batch": from_arrow_batch,
    "pandas": from_pandas,
    "pandas-series": from_pandas_series,
    "pandas-index": from_pandas_index,
    "polars": from_polars,
    "polars-series": from_polars_series,
}
"""By the name of the encoder."""
