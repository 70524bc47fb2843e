"""`***` in place of the values of secrets, in what eventflow writes about a task and in its output.

Also as they stand in a repr, in JSON, in HTML, and each long line of one that has several.
"""

from __future__ import annotations

import html
import json
import re
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Mask"]

_SHOWN = "***"
_SHORTEST = 4
_SHORTEST_LINE = 8


class Mask:
    """Masks these values. One of less than 4 characters is none that could be kept: it is in
    every other word."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._bytes = re.compile(self._pattern.pattern.encode()) if self._pattern else None
        self._forms = tuple(form.encode() for form in longest_first)

    def text(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(_SHOWN, text) if self._pattern else text

    def data(self, data: bytes) -> bytes:
        """UTF-8 without them."""
        return self._bytes.sub(_SHOWN.encode(), data) if self._bytes else data

    def beginning(self, data: bytes) -> tuple[bytes, bytes]:
        """Of a stream that goes on behind `data`: its beginning without them, and what has to be
        put before what comes next, since it may be the beginning of one."""
        if self._bytes is None:
            return data, b""
        open_at = min((_opened(form, data) for form in self._forms), default=len(data))
        end = open_at
        for found in self._bytes.finditer(data):
            if found.start() >= open_at:
                break
            end = max(end, found.end())
        return self.data(data[:end]), data[end:]

    @property
    def longest_bytes(self) -> int:
        """How long the longest of what it masks is."""
        return max(map(len, self._forms), default=0)

    def cover_streams(self) -> None:
        """Have what this process prints from now on through `sys.stdout` and `sys.stderr` masked,
        also by those who hold these streams already, as loggers do."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # user code has put something of its own there
                setattr(stream, "write", partial(self._write, stream.write))  # noqa: B010 - typed

    def _write(self, write: Callable[[str], int], text: str, /) -> int:
        write(self.text(text))
        return len(text)


def _opened(form: bytes, data: bytes) -> int:
    """Where at the end of `data` something begins that may become `form`; its length if nothing
    does."""
    for size in range(min(len(form) - 1, len(data)), 0, -1):
        if data.endswith(form[:size]):
            return len(data) - size
    return len(data)


def _forms(value: str) -> Iterator[str]:
    lines = value.splitlines()
    parts = [value, value.strip()]
    parts += [line for line in lines if len(lines) > 1 and len(line) >= _SHORTEST_LINE]
    for part in parts:
        if len(part) < _SHORTEST:
            continue
        yield part
        yield repr(part)[1:-1]
        yield json.dumps(part)[1:-1]
        yield html.escape(part)
