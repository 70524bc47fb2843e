"""Zstandard (RFC 8878) where it pays: at least 1 KiB, and at least a tenth saved.

Large data is tried on a sample first, so that what does not shrink costs next to nothing.
"""

from __future__ import annotations

import zstandard

from eventflow.errors import CorruptObject
from eventflow.store.pieces import Buffer, Pieces, Sink

__all__ = ["compress", "decompress"]

_LEVEL = 1
_LEAST_BYTES = 1024
_WORTH = 0.9
_SLICES = 8
_LARGE_BYTES = 8 * 2**20
_SLICE_BYTES = 16 * 1024


def compress(data: Pieces) -> Pieces | None:
    """A smaller form of `data`; None when it does not pay."""
    size = data.size_bytes
    if size < _LEAST_BYTES or not _pays(_sample(data, size)):
        return None
    if size <= _LARGE_BYTES:
        smaller = Pieces.of(zstandard.ZstdCompressor(level=_LEVEL).compress(data.joined()))
    else:
        smaller = _compress_large(data, size)
    return smaller if smaller.size_bytes <= size * _WORTH else None


def decompress(data: Buffer) -> Buffer:
    """What `compress` was given; writable when it is large.

    Raises:
        CorruptObject: `data` is not compressed.
    """
    try:
        size = zstandard.frame_content_size(data)
        if size <= _LARGE_BYTES:
            return zstandard.ZstdDecompressor().decompress(data)
        return _decompress_large(data, size)
    except zstandard.ZstdError as error:
        raise CorruptObject(f"A value is marked as compressed and is not: {error}.") from error


def _compress_large(data: Pieces, size: int) -> Pieces:
    # With threads: the output is the same for any number of them, but not for none.
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1).compressobj(size=size)
    sink = Sink()
    for start in range(0, size, _LARGE_BYTES):
        for view in data.between(start, start + _LARGE_BYTES):
            sink.write(compressor.compress(view))
    sink.write(compressor.flush())
    return sink.pieces()


def _decompress_large(data: Buffer, size: int) -> Buffer:
    whole = memoryview(bytearray(size))
    at = 0
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        while at < size and (read := reader.readinto(whole[at : at + _LARGE_BYTES])):
            at += read
    if at < size:
        raise zstandard.ZstdError(f"{size - at} of {size} bytes are missing")
    return whole


def _pays(sample: bytes) -> bool:
    smaller = zstandard.ZstdCompressor(level=_LEVEL).compress(sample)
    return len(smaller) <= len(sample) * _WORTH


def _sample(data: Pieces, size: int) -> bytes:
    if size <= _SLICES * _SLICE_BYTES:
        return data.joined()
    stride = (size - _SLICE_BYTES) // (_SLICES - 1)
    starts = range(0, stride * _SLICES, stride)
    return b"".join(view for at in starts for view in data.between(at, at + _SLICE_BYTES))
