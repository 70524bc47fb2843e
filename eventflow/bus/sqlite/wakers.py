"""How a waiting poll learns at once that somebody wrote: a datagram to its socket.

Each waiter has a Unix datagram socket in one folder; whoever has committed sends one byte to
each of them, in its own process and in others alike. A datagram can be lost (a full queue, a
socket that cannot be made); a waiter therefore looks again every 50 ms.
"""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.bus.sqlite.database import Database
    from eventflow.effects import Ids

__all__ = ["SAFETY_NET", "Waker", "Wakers"]

SAFETY_NET = timedelta(milliseconds=50)
_NAME_LENGTH = 10
# sun_path is 104 bytes on macOS and BSD, 108 on Linux, the closing zero included.
_LONGEST_PATH = 103


class Waker:
    """The socket of one waiter. `wake` may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._pid = os.getpid()

    def wait(self, timeout: timedelta) -> None:
        """Return when somebody woke, and after `timeout` or 50 ms at the latest."""
        self._socket.settimeout(max(min(timeout, SAFETY_NET).total_seconds(), 0.0001))
        with suppress(TimeoutError):
            self._socket.recv(1)
            self._socket.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    self._socket.recv(1)

    def wake(self) -> None:
        """End a `wait` of now, or else the next one."""
        _send([self._path])

    def close(self) -> None:
        """Remove the socket; in a forked child only let go of it."""
        self._socket.close()
        if self._pid == os.getpid():
            self._path.unlink(missing_ok=True)


class Wakers:
    """The sockets of everybody who waits for this log."""

    def __init__(self, folder: Path, database: Database, ids: Ids) -> None:
        self._ids = ids
        self._folder = _agreed(folder / "waiters", database, ids)

    def make(self) -> Waker:
        """A socket of one's own."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Waker(self._folder / self._ids.token(_NAME_LENGTH))

    def wake_all(self) -> None:
        """Tell every waiter that there may be something; call it after the commit."""
        with suppress(FileNotFoundError):  # nobody ever waited
            _send(self._folder / name for name in os.listdir(self._folder))  # noqa: PTH208 - fast


def _send(paths: Iterable[Path]) -> None:
    """A datagram to each. What was committed stays committed: no failure here is an error."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in paths:
            try:
                sender.sendto(b"\0", str(path))
            except ConnectionRefusedError:  # its process died
                path.unlink(missing_ok=True)
            except OSError:  # gone meanwhile, full, or another user's: it looks again by itself
                continue


def _agreed(folder: Path, database: Database, ids: Ids) -> Path:
    """`folder` if its paths are short enough for sockets, else one that all processes find in
    the database, below the folder for temporary files."""
    if len(os.fsencode(folder.absolute())) + 1 + _NAME_LENGTH <= _LONGEST_PATH:
        return folder.absolute()
    with database.write() as connection:
        row = connection.execute("SELECT folder FROM waiters").fetchone()
        if row is None:
            row = (str(Path(tempfile.gettempdir()) / f"eventflow-{ids.token()}"),)
            connection.execute("INSERT INTO waiters VALUES (?)", row)
    return Path(row[0])
