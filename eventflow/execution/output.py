"""What a task prints: into two files of its attempt, followed while it runs, kept in the store.

Of each file the store gets the first and the last 5 MiB at most, with a line in between that
says how much was left out. An empty file is not put: no object means no output.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from eventflow.store.live_output import STREAMS, left_out_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = [
    "STREAMS",
    "OutputTail",
    "add_to_stderr",
    "flush_streams",
    "has_secrets",
    "keep_output",
    "note_secrets",
    "open_streams",
]

_SECRETS = "secrets"
_KEPT_BYTES = 5 * 2**20
_AT_ONCE_BYTES = 2**20


def open_streams(folder: str) -> tuple[int, int]:
    """Open the two files to append to; what a task starts writes to them too."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(f"{folder}/stdout", flags, 0o600), os.open(f"{folder}/stderr", flags, 0o600)


def flush_streams() -> None:
    """Bring what was printed into the files; what user code made of the streams is its affair."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()


def add_to_stderr(folder: str, text: str) -> None:
    """Say something at the end of an attempt's stderr, also when its process is gone."""
    with open(f"{folder}/stderr", "ab") as file:
        file.write(text.encode(errors="backslashreplace"))


def note_secrets(folder: str) -> None:
    """Have it known, also when its process is gone, that there are secrets in what an attempt
    prints: only who knows them may keep it."""
    os.close(os.open(f"{folder}/{_SECRETS}", os.O_WRONLY | os.O_CREAT, 0o600))


def has_secrets(folder: str) -> bool:
    """Whether that was noted."""
    return os.access(f"{folder}/{_SECRETS}", os.F_OK)


def keep_output(
    store: Store, place: RunPlace, key: TaskKey, folder: str, hide: Callable[[bytes], bytes]
) -> None:
    """Put what an attempt printed into the store, as it is now, without what `hide` takes out;
    the first put counts."""
    sizes = {name: _size(f"{folder}/{name}") for name in STREAMS}
    if any(sizes.values()):
        prefix = place.attempt(key.epoch, key.step, key.task, key.attempt)
        store.put_all(
            (prefix + name, hide(_both_ends(f"{folder}/{name}", size)))
            for name, size in sizes.items()
            if size
        )


class OutputTail:
    """Follows the files of one attempt, line by line."""

    def __init__(self, folder: Path, on_line: Callable[[str, str], None]) -> None:
        """`on_line` is called with the stream's name and a line, without its end; one of more
        than a MiB comes in pieces."""
        self._folder, self._on_line = folder, on_line
        self._read = dict.fromkeys(STREAMS, 0)
        self._rest = dict.fromkeys(STREAMS, b"")

    def follow(self) -> None:
        """Pass on the lines that were completed since the last time."""
        for stream in STREAMS:
            self._follow(stream)

    def end(self) -> None:
        """The attempt has ended: pass on all that is left, whole lines or not."""
        self.follow()
        for stream, rest in self._rest.items():
            if rest:
                self._on_line(stream, rest.decode(errors="replace"))

    def _follow(self, stream: str) -> None:
        while data := _read_from(self._folder / stream, self._read[stream]):
            self._read[stream] += len(data)
            *lines, rest = (self._rest[stream] + data).split(b"\n")
            if len(rest) >= _AT_ONCE_BYTES:  # a line without an end: in pieces
                lines, rest = [*lines, rest], b""
            self._rest[stream] = rest
            for line in lines:
                self._on_line(stream, line.decode(errors="replace"))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _both_ends(path: str, size: int) -> bytes:
    with open(path, "rb") as file:
        if size <= 2 * _KEPT_BYTES:
            return file.read(size)
        first = file.read(_KEPT_BYTES)
        file.seek(size - _KEPT_BYTES)
        last = file.read(_KEPT_BYTES)
    left_out = size - len(first) - len(last)
    return b"\n".join([first, left_out_line(left_out), last])


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(_AT_ONCE_BYTES)
    except FileNotFoundError:  # the task has not got so far
        return b""
