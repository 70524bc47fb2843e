"""What of a value fits on a page, as HTML: safe, short, and without running code of its class.

Known are plain values and containers of them, data frames, arrays, and images in the PNG format.
Of everything else there is no preview: its type says what it is.
"""

from __future__ import annotations

import base64
import reprlib
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ROWS", "is_png", "png", "preview", "table", "table_of_frame"]

ROWS = 10
"""How many rows of a table are shown, unless the card says otherwise."""

_LONGEST_TEXT = 1000
_LONGEST_CELL = 200
_LONGEST_INT_BITS = 1000
_LARGEST_IMAGE = 4 * 2**20
_PNG = b"\x89PNG\r\n\x1a\n"
_SCALARS = (type(None), bool, int, float, complex)
_CONTAINERS = (list, tuple, set, frozenset, dict)
_OF_CELLS = frozenset({"builtins", "datetime", "decimal", "numpy", "pandas", "uuid", "zoneinfo"})
_FRAMES = frozenset({("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "Table")})


class _Short(reprlib.Repr):
    """A repr of containers that is short, and asks no class but the plain ones for theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        is_long = value.bit_length() > _LONGEST_INT_BITS  # Python refuses to write the longest
        return (
            f"<int of {value.bit_length():,} bits>" if is_long else super().repr_int(value, level)
        )

    def repr_instance(self, value: object, _: int) -> str:
        return repr(value) if type(value) in _SCALARS else f"<{type(value).__name__}>"


_SHORT = _Short()


def preview(value: object, rows: int = ROWS) -> str:
    """The value as HTML; empty when there is nothing safe and short to show."""
    if isinstance(value, str):
        return f"<pre>{escape(_cut(value))}</pre>"
    if isinstance(value, bytes):
        return png(value) if is_png(value) else f"{len(value):,} bytes"
    if isinstance(value, _SCALARS):
        return f"<code>{escape(_SHORT.repr(value))}</code>"
    if isinstance(value, _CONTAINERS):
        return f"<code>{escape(_cut(_SHORT.repr(value)))}</code> ({len(value):,} items)"
    return _of_packages(value, rows)


def _of_packages(value: Any, rows: int) -> str:
    if _kind(value) in _FRAMES:
        return table_of_frame(value, rows)
    return _array(value) if _kind(value) == ("numpy", "ndarray") else ""


def is_png(value: bytes) -> bool:
    """Whether the bytes are an image that a page can have."""
    return value.startswith(_PNG)


def png(data: bytes, label: str = "") -> str:
    """An image within the page; a note where it is too large for one."""
    if len(data) > _LARGEST_IMAGE:
        return f"<p>An image of {len(data):,} bytes is left out.</p>"
    source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{escape(label)}" src="{source}">'


def table(headers: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{each}</th>" for each in headers)
    body = "".join(f"<tr>{''.join(f'<td>{each}</td>' for each in row)}</tr>" for row in rows)
    return (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )


def table_of_frame(frame: Any, rows: int = ROWS) -> str:
    """The first rows of a data frame of pandas, polars or pyarrow, and how many there are."""
    package, _ = _kind(frame)
    if package == "pandas":
        names, first = list(frame.columns), frame.head(rows).itertuples(index=False, name=None)
    elif package == "polars":
        names, first = frame.columns, frame.head(rows).iter_rows()
    else:
        names = frame.column_names
        columns = [column.to_pylist() for column in frame.slice(0, rows).columns]
        first = zip(*columns, strict=True)
    count = frame.num_rows if package == "pyarrow" else len(frame)
    cells = ([_cell(each) for each in row] for row in first)
    shown = table([escape(str(name)) for name in names], cells)
    return f"{shown}<p>{min(count, rows):,} of {count:,} rows</p>"


def _array(value: Any) -> str:
    shape = " by ".join(str(each) for each in value.shape) or "scalar"
    first = value.flat[:ROWS].tolist() if value.size else []
    return f"{escape(f'{shape} of {value.dtype}')} <code>{escape(_SHORT.repr(first))}</code>"


def _cell(value: object) -> str:
    is_plain = type(value).__module__.partition(".")[0] in _OF_CELLS
    text = str(value) if is_plain else f"<{type(value).__name__}>"
    return escape(_cut(text, _LONGEST_CELL))


def _cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def _kind(value: object) -> tuple[str, str]:
    """The package and the name of its type, so that none has to be imported."""
    cls = type(value)
    return cls.__module__.partition(".")[0], cls.__name__
