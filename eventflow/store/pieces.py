"""The bytes of an object that lie in several places of memory: put as one, and never joined.

So that a large array is written from where it is, behind the header that says what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Buffer", "Data", "Pieces", "Sink", "in_batches", "pieces_of", "writable"]

_SMALL_BYTES = 64 * 1024

Buffer: TypeAlias = bytes | bytearray | memoryview
"""The bytes of an object as they were read."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Views of bytes, each flat and not empty, in order. Who made them keeps them unchanged."""

    views: tuple[memoryview, ...]

    @classmethod
    def of(cls, *parts: bytes | bytearray | memoryview) -> Pieces:
        """These parts in their order; a view has to be contiguous in the order of C."""
        flat = (memoryview(each).cast("B") for each in parts)
        return cls(tuple(each for each in flat if each))

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.views))

    def between(self, start: int, stop: int) -> Iterator[memoryview]:
        """Views of the bytes from `start` up to `stop`, counted over all pieces."""
        for view in self.views:
            if part := view[max(start, 0) : max(stop, 0)]:
                yield part
            start, stop = start - len(view), stop - len(view)

    def joined(self) -> bytes:
        """All bytes: a copy, unless they are one `bytes` object as it is."""
        if len(self.views) == 1 and type(whole := self.views[0].obj) is bytes:
            view = self.views[0]
            return whole if len(whole) == len(view) else bytes(view)
        return b"".join(self.views)


Data: TypeAlias = bytes | memoryview | Pieces
"""What can be put as one object."""


def pieces_of(data: Data) -> Pieces:
    """`data` as pieces; nothing is copied."""
    return data if isinstance(data, Pieces) else Pieces.of(data)


class Sink:
    """A file to be written to, which keeps what is written as pieces; large ones as they are."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self._small = bytearray()

    def write(self, data: Any) -> int:
        """Anything with a buffer; a large one is not copied and must not change."""
        view = memoryview(data)
        if view.nbytes < _SMALL_BYTES:
            self._small += view
        else:
            self._end_small()
            self._parts.append(view)
        return view.nbytes

    def flush(self) -> None:
        """Nothing: there is no file."""

    def pieces(self) -> Pieces:
        """What was written."""
        self._end_small()
        return Pieces.of(*self._parts)

    def _end_small(self) -> None:
        if self._small:
            self._parts.append(self._small)
            self._small = bytearray()


def writable(data: Buffer) -> memoryview:
    """A view of `data` that may be changed; of a copy when that may not."""
    view = memoryview(data)
    return memoryview(bytearray(view)) if view.readonly else view


def in_batches(
    objects: Iterable[tuple[str, Data]], most_bytes: int
) -> Iterator[tuple[tuple[str, Data], ...]]:
    """Objects in order, as many at a time as have so many bytes together, or one that has more."""
    batch: list[tuple[str, Data]] = []
    size = 0
    for key, data in objects:
        more = data.size_bytes if isinstance(data, Pieces) else len(data)
        if batch and size + more > most_bytes:
            yield tuple(batch)
            batch, size = [], 0
        batch.append((key, data))
        size += more
    if batch:
        yield tuple(batch)
