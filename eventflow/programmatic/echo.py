"""Passing on what a process writes, while it does."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Lines", "Text"]

_PIECE = 1 << 20


class Text:
    """The text of a growing file, from its start, piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path, self._position = path, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> Iterator[str]:
        """What came since the last call; never half a character."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            while piece := file.read(_PIECE):
                self._position += len(piece)
                yield self._decoder.decode(piece)


class Lines:
    """The lines of a growing file, from a position on, each with the position behind it."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path, self._position = path, position

    def read(self, *, is_whole: bool) -> Iterator[tuple[int, str]]:
        """What came since the last call. Only when the file `is_whole` may a line lack its end."""
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not (line.endswith(b"\n") or is_whole):
                    return
                self._position += len(line)
                yield self._position, line.decode("utf-8", "replace").rstrip("\r\n")
