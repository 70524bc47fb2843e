"""Aborted transactions, counted in the log itself: the control records of a broker's own files.

The formats are Kafka's record batch v2 and its control records (KIP-98); they are read with
`struct`, through no client. A transaction leaves a marker in every partition that it wrote to, so
what is counted are producers in one epoch: one that was aborted never goes on in that epoch, since
its successor begins with another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_BATCH = struct.Struct(">qiibIhiqqqhii")
_SIZE = struct.Struct(">qi")
_KEY = struct.Struct(">hh")
_IS_CONTROL = 0x20
_ABORT = 0


def aborted_transactions(data: Path, prefix: str) -> set[tuple[int, int]]:
    """(producer id, epoch) of each that wrote to a topic of that prefix and was aborted."""
    files = data.glob(f"{prefix}*/*.log")
    return {producer for file in files for producer in _aborted(file.read_bytes())}


def _aborted(log: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at + _BATCH.size <= len(log):
        _, length = _SIZE.unpack_from(log, at)
        end = at + _SIZE.size + length
        if length <= 0 or end > len(log):
            break  # it is being written
        *_, attributes, _, _, _, producer, epoch, _, _ = _BATCH.unpack_from(log, at)
        if attributes & _IS_CONTROL and _kind(log[at + _BATCH.size : end]) == _ABORT:
            yield producer, epoch
        at = end


def _kind(record: bytes) -> int:
    """The type of the one record of a control batch: 0 aborts, 1 commits."""
    at = _after_varint(record, 0) + 1  # the length, and a byte of attributes
    for _ in range(3):  # the deltas of time and offset, and the length of the key
        at = _after_varint(record, at)
    _, kind = _KEY.unpack_from(record, at)
    return int(kind)


def _after_varint(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1
