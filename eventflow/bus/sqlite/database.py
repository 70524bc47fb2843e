"""The file `bus.db`: short writes, reads beside them, errors translated.

Two connections a process, each behind a lock: one writes, one reads; in WAL mode they do not
wait for each other. A write is durable when its block has ended (`synchronous=FULL`). No
connection is open across `os.fork`: SQLite's locks belong to a process and would be lost.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
import weakref
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.machine import network_file_system
from eventflow.bus.sqlite.schema import TABLES, VERSION
from eventflow.errors import BusBusy, BusForbidden, BusUnreachable, InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventflow.effects import Clock

__all__ = ["Database"]

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FORBIDDEN = frozenset({sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH})
_BROKEN = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: an fsync alone does not reach the disk
    "PRAGMA journal_size_limit = 67108864",
)


class Database:
    """One `bus.db`. May be used by several threads, and after a fork.

    Raises, from every method: BusBusy when another process held the file for `patience` (it may
    be stopped inside a commit), BusForbidden, BusUnreachable (disk full, broken, closed).
    """

    def __init__(self, folder: Path, *, clock: Clock, patience: timedelta) -> None:
        """Make the folder and the file if they are missing.

        Raises:
            InvalidSettings: the folder is on a network file system, or the file was written by
                a version of eventflow that this one does not know.
        """
        self._folder = folder
        self._clock = clock
        self._patience = patience
        self._writing, self._reading = Lock(), Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._is_closed = False
        _make_folder(folder)
        _stay_closed_across_forks(self)
        with self._locked(self._writing):
            self._writer = self._open()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One atomic write: durable at the end of the block, undone when the block raises."""
        with self._locked(self._writing):
            self._writer = self._writer or self._open()
            with self._transaction(self._writer):
                yield self._writer

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed; each statement sees one state of it."""
        with self._locked(self._reading):
            self._reader = self._reader or self._open_patient()
            yield self._reader

    def close(self) -> None:
        """Let go of the file; nothing can be done afterwards."""
        with self._writing, self._reading:
            self._is_closed = True
            self._disconnect()

    @contextmanager
    def _locked(self, lock: Lock) -> Iterator[None]:
        if not lock.acquire(timeout=self._patience.total_seconds()):
            raise BusBusy(f"{self._file}: a write of this process did not end in time.")
        try:
            if self._is_closed:
                raise BusUnreachable("This bus was closed.")
            with self._translated():
                yield
        finally:
            lock.release()

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        self._retry(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            yield
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._retry(lambda: self._prepare(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_patient(self) -> sqlite3.Connection:
        """For reads, that wait seldom and shortly: while the log is recovered after a crash."""
        connection = self._open()
        connection.execute(f"PRAGMA busy_timeout = {self._patience // timedelta(milliseconds=1)}")
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise InvalidSettings(f"{self._folder} cannot hold the log: no shared memory there.")
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        if _version(connection) == 0:
            self._create(connection)
        if (version := _version(connection)) != VERSION:
            raise InvalidSettings(
                f"{self._file} has schema {version}, this eventflow knows {VERSION} only."
                " Use the version of eventflow that wrote it, or another EVENTFLOW_HOME."
            )

    def _create(self, connection: sqlite3.Connection) -> None:
        with self._transaction(connection):
            if _version(connection) == 0:  # nobody was faster
                for table in TABLES:
                    connection.execute(table)
                connection.execute(f"PRAGMA user_version = {VERSION}")

    def _retry(self, action: Callable[[], object]) -> None:
        """Wait for another process; SQLite's own busy handler sleeps up to 100 ms a time."""
        deadline = self._clock.elapsed() + self._patience
        while True:
            try:
                action()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or self._clock.elapsed() >= deadline:
                    raise
                time.sleep(random.uniform(0.0002, 0.002))
            else:
                return

    @property
    def _file(self) -> Path:
        return self._folder / "bus.db"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _BUSY:
                raise BusBusy(
                    f"{self._file} was locked for {self._patience.total_seconds():g} s: a process"
                    " that uses it may be stopped in the middle of a write. Nothing was written."
                ) from error
            if code in _FORBIDDEN:
                raise BusForbidden(f"{self._file} may not be written: {error}.") from error
            if code in _BROKEN:
                raise BusUnreachable(f"{self._file} cannot be used: {error}.") from error
            raise

    def _disconnect(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None

    def before_fork(self) -> None:
        """Close the connections and hold everybody off until the fork has happened."""
        self._writing.acquire()
        self._reading.acquire()
        self._disconnect()

    def after_fork(self) -> None:
        """Let go again, in the parent and in the child; either connects anew when it has to."""
        self._reading.release()
        self._writing.release()


def _stay_closed_across_forks(database: Database) -> None:
    """Hooks cannot be taken back, so they hold the database weakly."""
    known = weakref.ref(database)
    held: list[Database] = []

    def before() -> None:
        if (alive := known()) is not None:
            alive.before_fork()
            held.append(alive)

    def after() -> None:
        while held:
            held.pop().after_fork()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise BusForbidden(f"The state folder {folder} cannot be made: {error}.") from error
    except OSError as error:
        raise BusUnreachable(f"The state folder {folder} cannot be made: {error}.") from error
    if kind := network_file_system(folder):
        raise InvalidSettings(
            f"The state folder {folder} is on a network file system ({kind}), where the log would"
            " not be safe. Set EVENTFLOW_HOME to a folder on a local disk, or use Kafka."
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert isinstance(version, int)
    return version


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return (error.sqlite_errorcode & 0xFF) in _BUSY
