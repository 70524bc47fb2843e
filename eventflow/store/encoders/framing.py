"""A pickle with what lies beside it: definitions, and its large buffers (PEP 574).

    8 bytes      n, how many parts there are
    8 bytes each their sizes
    the parts    definitions (may be empty), the pickle, then the buffers as it takes them

All numbers are unsigned and little-endian. Each part begins at a multiple of 64 bytes, so that
arrays that are views of it are aligned.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject
from eventflow.store.pieces import Pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.store.pieces import Buffer

__all__ = ["framed", "unframed"]

_ALIGNMENT = 64
_FEWEST_PARTS = 2


def framed(definitions: bytes, stream: Pieces, buffers: Sequence[memoryview]) -> Pieces:
    """All of it, without a copy of the stream or of a buffer."""
    parts = [Pieces.of(definitions), stream, *map(Pieces.of, buffers)]
    sizes = [each.size_bytes for each in parts]
    head = struct.pack(f"<{1 + len(sizes)}Q", len(sizes), *sizes)
    views: list[Buffer] = [head, _padding(len(head))]
    for part in parts:
        views += [*part.views, _padding(part.size_bytes)]
    return Pieces.of(*views)


def unframed(data: Buffer) -> tuple[memoryview, memoryview, Sequence[memoryview]]:
    """Definitions, pickle and buffers: views of `data`.

    Raises:
        CorruptObject: it is not what `framed` makes.
    """
    view = memoryview(data)
    try:
        (count,) = struct.unpack_from("<Q", view)
        sizes = struct.unpack_from(f"<{min(count, len(view))}Q", view, 8)
    except struct.error as error:
        raise CorruptObject(f"A value is marked as a framed pickle and is not: {error}.") from error
    parts, at = [], 8 + 8 * len(sizes)
    for size in sizes:
        at += -at % _ALIGNMENT
        parts.append(view[at : at + size])
        at += size
    if len(sizes) < _FEWEST_PARTS or at > len(view):
        raise CorruptObject("A value is marked as a framed pickle, and parts of it are missing.")
    definitions, stream, *buffers = parts
    return definitions, stream, buffers


def _padding(size: int) -> bytes:
    return bytes(-size % _ALIGNMENT)
