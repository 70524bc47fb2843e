"""One end of a socket pair that carries messages and never waits.

What the other side has not taken yet is kept and sent later; an end that is gone is a fact to
ask for, not an exception.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from eventflow.execution.messages import Messages

if TYPE_CHECKING:
    import socket

    from eventflow.execution.messages import Message

__all__ = ["Channel"]

_READ_BYTES = 256 * 1024


class Channel:
    """Messages over a connected stream socket."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._incoming = Messages()
        self._outgoing = bytearray()
        self.is_closed = False

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether the other side has to take something before more is of use."""
        return bool(self._outgoing)

    def send(self, packed: bytes) -> None:
        """Send a packed message, now or with the next `flush`; dropped when the end is gone."""
        self._outgoing += packed
        self.flush()

    def flush(self) -> None:
        """Send what the other side takes now."""
        while self._outgoing and not self.is_closed:
            try:
                sent = self._socket.send(self._outgoing)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError):
                # What it said before it went can still be read: `receive` finds the end.
                self._outgoing.clear()
                return
            del self._outgoing[:sent]

    def receive(self) -> list[tuple[Message, bytes]]:
        """The messages that are there. When the other end is gone, `is_closed` is set."""
        received: list[tuple[Message, bytes]] = []
        while not self.is_closed:
            data = self._read()
            if data is None:
                break
            received += self._incoming.feed(data)
        return received

    def close(self) -> None:
        """Let go of the socket."""
        self.is_closed = True
        with suppress(OSError):
            self._socket.close()

    def _read(self) -> bytes | None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            data = b""
        self.is_closed = not data
        return data or None
