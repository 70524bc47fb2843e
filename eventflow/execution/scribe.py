"""The scribe: a process beside a template that keeps what its attempts print while they run.

Flow: the template says `follow` of an attempt that runs for longer than a second and has printed
something → its two files are read ten times a second, and go to the store in pieces, one a second
at most → `ended` when its output is in the store: its times are kept there too, and the pieces
removed. It imports no user code, knows the secrets of the attempts that it follows, and masks
them. When the template is gone, its attempts are, too: what they left is put, as far as seconds
allow, and the scribe ends. An attempt costs nothing by it that ends before.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eventflow.errors import EventflowError
from eventflow.execution.channel import Channel
from eventflow.execution.messages import decode_run
from eventflow.execution.secrets.mask import Mask
from eventflow.model.task import TaskKey
from eventflow.store.line_times import LineTimes, thinned, write_times
from eventflow.store.live_output import STREAMS, Portion, encode_piece, remove_pieces
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.store.layout import RunPlace
    from eventflow.store.live_output import Mark
    from eventflow.store.port import Store

__all__ = ["follow_attempts"]

_LOOK_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 5.0
_PIECES_A_PAUSE_S = 60
_MOST_WAITING_BYTES = 2**20
_MOST_BEHIND_BYTES = 5 * 2**20
_KEPT_BYTES = 5 * 2**20
_LAST_WORDS_S = 0.1
_LAST_SECONDS = 3


def follow_attempts(connected: socket.socket, connect: Callable[[str], World]) -> NoReturn:
    """Be the scribe of the template at the other end; `connect` makes a world of its settings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    scribe = _Scribe(Channel(connected), connect)
    scribe.run()
    os._exit(0)


class _Stream:
    """One file as it grows. Offsets are those of what is shown: without secrets."""

    def __init__(self, path: Path, mask: Mask) -> None:
        self._path, self._mask = path, mask
        self._read = 0
        self._rest = b""
        self._skips = -1  # bytes that have to pass, and a line's end, before anything is shown
        self._waiting = bytearray()
        self._new_marks: list[Mark] = []
        self.marks: list[Mark] = []
        self.size_bytes = 0

    def look(self) -> None:
        """Take what has come, as long as not too much waits to be put."""
        size = _size_of(self._path)
        # The beginning is always shown.
        if self._read and size - self._read > _MOST_BEHIND_BYTES + _MOST_WAITING_BYTES:
            self._skip(size - _MOST_WAITING_BYTES)
        room = _MOST_WAITING_BYTES - len(self._waiting)
        if size > self._read and room > 0:
            self._take(_read_from(self._path, self._read, room))

    def portion(self, *, is_last: bool = False) -> Portion | None:
        """What waits to be put."""
        if is_last and self._rest:
            self._show(self._mask.data(self._rest))
            self._rest = b""
        if not self._waiting:
            return None
        start = self.size_bytes - len(self._waiting)
        return Portion(start, bytes(self._waiting), tuple(self._new_marks))

    def is_put(self) -> None:
        """What waited stands in the store."""
        self._waiting.clear()
        self._new_marks.clear()

    @property
    def times(self) -> LineTimes:
        """When everything came."""
        return LineTimes(tuple(self.marks), self.size_bytes)

    def _take(self, data: bytes) -> None:
        self._read += len(data)
        shown, self._rest = self._mask.beginning(self._rest + data)
        if self._skips >= 0:
            shown = self._behind_the_skipped(shown)
        self._show(shown)

    def _show(self, shown: bytes) -> None:
        if not shown:
            return
        self._waiting += shown
        self.size_bytes += len(shown)
        mark = (self.size_bytes, time.time_ns() // 1_000_000)
        self._new_marks.append(mark)
        self.marks.append(mark)
        self.marks = thinned(self.marks)

    def _skip(self, position: int) -> None:
        """More is printed than can be put: go on at `position`. What waits is shown before."""
        if self._waiting:
            return
        self.size_bytes += position - self._read + len(self._rest)
        self._read, self._rest = position, b""
        # It may be in the middle of a secret: nothing is shown of the line in which that ends.
        self._skips = self._mask.longest_bytes or -1

    def _behind_the_skipped(self, shown: bytes) -> bytes:
        end = shown.find(b"\n", self._skips)
        left_out = len(shown) if end < 0 else end + 1
        self.size_bytes += left_out
        self._skips = max(0, self._skips - left_out) if end < 0 else -1
        return shown[left_out:]


@dataclass(slots=True)
class _Followed:
    """An attempt at work. Of its pieces the first and the last 5 MiB are kept, as of its output."""

    place: RunPlace
    key: TaskKey
    streams: dict[str, _Stream]
    prefix: str
    pieces: int = 0
    put_at: float = 0.0
    head_bytes: int = 0
    tail: deque[tuple[str, int]] = field(default_factory=deque)
    tail_bytes: int = 0

    def look(self) -> None:
        """Take what has come."""
        for stream in self.streams.values():
            stream.look()

    def finish(self, store: Store) -> None:
        """Nothing more will come: put all that is left."""
        self.look()
        while self.put(store):
            self.look()
        self.put(store, is_last=True)

    def put(self, store: Store, *, is_last: bool = False) -> bool:
        """Put what waits, as one piece; whether there was any."""
        found = {
            name: portion
            for name, stream in self.streams.items()
            if (portion := stream.portion(is_last=is_last)) is not None
        }
        if not found:
            return False
        data = encode_piece(found)
        key = f"{self.prefix}{self.pieces:08d}"
        store.put_if_absent(key, data)
        for stream in self.streams.values():
            stream.is_put()
        self.pieces += 1
        pause = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, self.pieces / _PIECES_A_PAUSE_S))
        self.put_at = time.monotonic() + pause
        self._bound(store, key, len(data))
        return True

    def _bound(self, store: Store, key: str, size: int) -> None:
        if self.head_bytes < _KEPT_BYTES:
            self.head_bytes += size
            return
        self.tail.append((key, size))
        self.tail_bytes += size
        dropped = []
        while self.tail_bytes > _KEPT_BYTES and len(self.tail) > 1:
            oldest, its_size = self.tail.popleft()
            self.tail_bytes -= its_size
            dropped.append(oldest)
        if dropped:
            store.delete(dropped)

    def settle(self, store: Store) -> None:
        """Its output stands: keep the times, and remove the pieces."""
        self.look()
        times = {name: each.times for name, each in self.streams.items() if each.marks}
        if times:
            write_times(store, self.place, self.key, times)
        remove_pieces(store, self.place, self.key)


class _Scribe:
    def __init__(self, template: Channel, connect: Callable[[str], World]) -> None:
        self._template, self._connect = template, connect
        self._followed: dict[int, _Followed] = {}
        self._ended: list[_Followed] = []
        self._world: World | None = None

    def run(self) -> None:
        """Until the template is gone."""
        while not self._template.is_closed:
            pause = _LOOK_S if self._followed or self._ended else None
            select.select([self._template], [], [], pause)
            for message, body in self._template.receive():
                self._heed(message, body)
            self._go_on()
        if hasattr(signal, "alarm"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_LAST_SECONDS)  # a store that is away is not waited for any more
        time.sleep(_LAST_WORDS_S)
        for each in self._followed.values():
            self._try(partial(each.finish, self._store))
        self._settle()

    @property
    def _store(self) -> Store:
        assert self._world is not None, "settings come with the first attempt"
        return self._world.store

    def _heed(self, message: dict[str, Any], body: bytes) -> None:
        match message["do"]:
            case "connect":
                self._world = self._connect(message["settings"])
            case "follow":
                self._followed[message["number"]] = _followed(message, body)
            case "ended" if message["number"] in self._followed:
                self._ended.append(self._followed.pop(message["number"]))

    def _go_on(self) -> None:
        now = time.monotonic()
        for each in self._followed.values():
            each.look()
            if now >= each.put_at:
                self._try(partial(each.put, self._store))
        self._settle()

    def _settle(self) -> None:
        while self._ended and self._try(lambda: self._ended[0].settle(self._store)):
            del self._ended[0]

    def _try(self, step: Callable[[], object]) -> bool:
        """Whether it could be done. If not, it comes again: nothing of a run depends on it."""
        try:
            step()
        except (EventflowError, OSError):
            return False
        return True


def _followed(message: dict[str, Any], body: bytes) -> _Followed:
    place, key = place_of(decode_run(body).request), TaskKey(*message["key"])
    folder, mask = Path(message["folder"]), Mask(message["hides"])
    streams = {name: _Stream(folder / name, mask) for name in STREAMS}
    began = f"{time.time_ns() // 1_000_000:013d}-{os.urandom(4).hex()}"
    return _Followed(place, key, streams, f"{place.live(key)}{began}/")


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there yet, or not any more
        return 0


def _read_from(path: Path, position: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(most)
    except OSError:
        return b""
