"""Zstandard (RFC 8878) where it pays: at least 1 KiB, and at least a tenth saved.

Large data is tried on a sample first, so that what does not shrink costs next to nothing.
"""

from __future__ import annotations

import zstandard

from eventflow.errors import CorruptObject

__all__ = ["compress", "decompress"]

_LEVEL = 1
_LEAST_BYTES = 1024
_WORTH = 0.9
_SLICES = 8
_SLICE_BYTES = 16 * 1024


def compress(data: bytes) -> bytes | None:
    """A smaller form of `data`; None when it does not pay."""
    if len(data) < _LEAST_BYTES or not _pays(_sample(data)):
        return None
    smaller = zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    return smaller if len(smaller) <= len(data) * _WORTH else None


def decompress(data: bytes) -> bytes:
    """What `compress` was given.

    Raises:
        CorruptObject: `data` is not compressed.
    """
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise CorruptObject(f"A value is marked as compressed and is not: {error}.") from error


def _pays(sample: bytes) -> bool:
    smaller = zstandard.ZstdCompressor(level=_LEVEL).compress(sample)
    return len(smaller) <= len(sample) * _WORTH


def _sample(data: bytes) -> bytes:
    if len(data) <= _SLICES * _SLICE_BYTES:
        return data
    stride = (len(data) - _SLICE_BYTES) // (_SLICES - 1)
    starts = range(0, stride * _SLICES, stride)
    return b"".join(data[start : start + _SLICE_BYTES] for start in starts)
