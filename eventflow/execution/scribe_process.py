"""The scribe as its template sees it: started when there is something to follow, and told."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from eventflow.execution.channel import Channel
from eventflow.execution.messages import pack
from eventflow.execution.output import STREAMS

if TYPE_CHECKING:
    from eventflow.execution.messages import Begin, Start

__all__ = ["ScribeProcess"]


class ScribeProcess:
    """A template has one, or none yet. It is never waited for, and no attempt depends on it."""

    def __init__(self) -> None:
        self._begin: Begin | None = None
        self._channel: Channel | None = None
        self._followed: dict[int, bytes] = {}
        self.pids: set[int] = set()

    def begin(self, begin: Begin) -> None:
        """Know how it is started."""
        self._begin = begin

    def follow(self, start: Start) -> bool:
        """Have the scribe follow an attempt that has printed something; whether it has."""
        if not any(_has_content(f"{start.folder}/{stream}") for stream in STREAMS):
            return False
        if self._channel is not None:
            self._channel.receive()  # it says nothing: this finds out whether it is gone
        if self._channel is None or self._channel.is_closed:
            self._spawn()
        self._followed[start.number] = _follow(start)
        self._send(self._followed[start.number])
        return True

    def ended(self, number: int) -> None:
        """An attempt has ended, and its output is in the store."""
        if self._followed.pop(number, None) is not None:
            self._send(pack({"do": "ended", "number": number}))

    def fileno(self) -> int:
        """The socket to it, which is nobody's but the template's; negative when there is none."""
        return -1 if self._channel is None else self._channel.fileno()

    def _spawn(self) -> None:
        assert self._begin is not None, "begin comes before the first start"
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.set_inheritable(True)
            command = [*self._begin.command, "scribe", str(theirs.fileno())]
            self._channel = None
            with suppress(OSError):  # there can be no further process: nothing is shown meanwhile
                self.pids = {os.posix_spawn(command[0], command, os.environ)}
                self._channel = Channel(ours)
                self._send(pack({"do": "connect", "settings": self._begin.settings}))
                for each in self._followed.values():  # by one that is gone
                    self._send(each)

    def _send(self, packed: bytes) -> None:
        if self._channel is not None:
            self._channel.send(packed)


def _follow(start: Start) -> bytes:
    key = [start.key.epoch, start.key.step, start.key.task, start.key.attempt]
    about = {"number": start.number, "key": key, "folder": start.folder, "hides": start.hides}
    return pack({"do": "follow", **about}, start.run)


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0  # noqa: PTH116 - a template asks often
    except FileNotFoundError:
        return False
