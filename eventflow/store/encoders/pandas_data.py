"""Frames, series and indexes of pandas, as an Arrow IPC stream, when they come back exactly.

That is so for columns of plain types under text labels, with a plain index. Written from where
the columns lie; what is read is a copy, because pandas cannot change views of Arrow's memory.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.store.encoders.ipc import needed, read_stream, write_stream

if TYPE_CHECKING:
    from types import ModuleType

    from eventflow.store.pieces import Buffer, Pieces

__all__ = ["as_pandas", "from_pandas", "from_pandas_index", "from_pandas_series"]

_COLUMN = "values"
_NAME = b"eventflow.name"
_BITS = (8, 16, 32, 64)
_EXACT_EXTENSIONS = frozenset(
    {"StringDtype", "BooleanDtype", "Float32Dtype", "Float64Dtype"}
    | {"CategoricalDtype", "DatetimeTZDtype"}
    | {f"{sign}{bits}Dtype" for sign in ("Int", "UInt") for bits in _BITS}
)
_EXACT_FLOATS = frozenset({4, 8})


def as_pandas(value: Any) -> tuple[str, Pieces] | None:
    """The encoder and its stream; None of what Arrow would change, and of anything else."""
    pandas, pyarrow = sys.modules["pandas"], sys.modules.get("pyarrow")
    if pyarrow is None:
        return None
    kinds = {
        pandas.DataFrame: "pandas",
        pandas.Series: "pandas-series",
        pandas.Index: "pandas-index",
        pandas.DatetimeIndex: "pandas-index",
    }
    kind = kinds.get(type(value))
    if kind is None or not _is_plain(pandas, kind, value):
        return None
    try:
        if not _comes_back(kind, value[:1], _written(pyarrow, kind, value[:1]).joined()):
            return None
        return kind, _written(pyarrow, kind, value)
    except Exception:  # noqa: BLE001 - whatever Arrow says against it, pickle may do it
        return None


def from_pandas(data: Buffer) -> Any:
    """The frame."""
    return _read(data)[0]


def from_pandas_series(data: Buffer) -> Any:
    """The series."""
    column, name = _read_column(data)
    return column.rename(name)


def from_pandas_index(data: Buffer) -> Any:
    """The index."""
    column, name = _read_column(data)
    return needed("pandas").Index(column.array, name=name)


def _written(pyarrow: ModuleType, kind: str, value: Any) -> Pieces:
    frame, name = value, None
    if kind == "pandas-series":
        frame, name = value.to_frame(_COLUMN), value.name
    elif kind == "pandas-index":
        frame, name = value.to_frame(index=False, name=_COLUMN), value.name
    table = pyarrow.Table.from_pandas(frame)
    named = {**(table.schema.metadata or {}), _NAME: json.dumps(name).encode()}
    return write_stream(pyarrow, table.replace_schema_metadata(named))


def _read(data: Buffer) -> tuple[Any, str | None]:
    needed("pandas")
    table = read_stream(data, lambda reader: reader.read_all())
    try:
        return table.to_pandas(), json.loads(table.schema.metadata[_NAME])
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise CorruptObject(f"A value is marked as pandas data and is not: {error!r}.") from error


def _read_column(data: Buffer) -> tuple[Any, str | None]:
    frame, name = _read(data)
    if _COLUMN not in frame:
        raise CorruptObject("A value is marked as one column of pandas and is not.")
    return frame[_COLUMN], name


# ── what comes back exactly ──────────────────────────────────────────────────


def _is_plain(pandas: ModuleType, kind: str, value: Any) -> bool:
    if kind == "pandas-index":
        return _is_plain_index(pandas, value)
    if value.attrs or not value.flags.allows_duplicate_labels:
        return False
    if not _is_plain_index(pandas, value.index):
        return False
    if kind == "pandas-series":
        return _is_name(value.name) and _is_exact(value.dtype)
    labels = value.columns
    return (
        type(labels) is pandas.Index
        and _is_name(labels.name)
        and all(type(each) is str for each in labels)
        and all(map(_is_exact, value.dtypes))
    )


def _is_plain_index(pandas: ModuleType, index: Any) -> bool:
    if type(index) is pandas.RangeIndex:
        return _is_name(index.name)
    is_plain = type(index) in {pandas.Index, pandas.DatetimeIndex} and _is_exact(index.dtype)
    return is_plain and _is_name(index.name) and getattr(index, "freq", None) is None


def _is_name(name: object) -> bool:
    return name is None or type(name) is str


def _is_exact(dtype: Any) -> bool:
    """Whether all values of the type pass through Arrow; objects do not."""
    kind = getattr(dtype, "kind", "O")
    if type(dtype).__name__ not in _EXACT_EXTENSIONS:
        is_float = kind == "f" and dtype.itemsize in _EXACT_FLOATS
        return hasattr(dtype, "isnative") and dtype.isnative and (is_float or kind in "biuMm")
    categories = getattr(dtype, "categories", None)
    return categories is None or _is_exact(categories.dtype)


def _comes_back(kind: str, value: Any, data: bytes) -> bool:
    """Whether Arrow keeps the types and names of a value; asked of its first row."""
    if kind == "pandas-index":
        return _same_index(from_pandas_index(data), value)
    loaded = from_pandas(data) if kind == "pandas" else from_pandas_series(data)
    if not _same_index(loaded.index, value.index):
        return False
    if kind == "pandas-series":
        return bool(loaded.name == value.name) and _same_type(loaded.dtype, value.dtype)
    return _same_index(loaded.columns, value.columns) and all(
        map(_same_type, loaded.dtypes, value.dtypes)
    )


def _same_index(one: Any, other: Any) -> bool:
    if type(one) is not type(other) or one.name != other.name:
        return False
    return _same_type(one.dtype, other.dtype) and bool(one.equals(other))


def _same_type(one: Any, other: Any) -> bool:
    if type(one) is not type(other) or one != other:
        return False
    zones = getattr(one, "tz", None), getattr(other, "tz", None)
    if type(zones[0]) is not type(zones[1]):
        return False
    # Of two unordered sets of categories the order counts too: codes are places in it.
    categories = getattr(one, "categories", None)
    return categories is None or _same_index(categories, other.categories)
