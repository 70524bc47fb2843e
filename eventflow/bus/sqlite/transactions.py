"""Transactions: buffered here, checked and applied in one short write.

A check inside that write decides whether the writer may still write. Nothing of an open
transaction is in the log, so a dead owner leaves nothing behind. Every transaction skips an
offset on each partition that it wrote to, where Kafka puts its control marker.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from eventflow.bus.sqlite.log import append, place
from eventflow.errors import EventflowError, Fenced

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from eventflow.bus.sqlite.engine import Engine
    from eventflow.bus.sqlite.log import Placed
    from eventflow.model.log import NewRecord

__all__ = [
    "BufferedTransaction",
    "Guard",
    "SqliteWriter",
    "check_epoch",
    "refuse_in_fork",
    "take_over",
]


class Guard(Protocol):
    """Whoever opens transactions."""

    def check(self, connection: sqlite3.Connection, epoch: int) -> None:
        """Make sure, inside a write, that the opener may still write what it began in `epoch`.

        Raises:
            Fenced: it may not.
        """

    def consume(self, connection: sqlite3.Connection, consumed: Mapping[str, int]) -> None:
        """Set the group's next offset of each topic."""


class BufferedTransaction:
    """Of the port. `commit` has its result when it returns."""

    def __init__(self, engine: Engine, guard: Guard, epoch: int) -> None:
        self._engine = engine
        self._guard = guard
        self._epoch = epoch
        self._records: list[Placed] = []
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor aborted."""
        return self._is_open

    def append(self, record: NewRecord) -> None:
        self._require_open()
        self._records.append(place(self._engine.catalogue, record))

    def commit(self, consumed: Mapping[str, int] | None = None) -> Future[None]:
        self._require_open()
        self._is_open = False
        result: Future[None] = Future()
        try:
            self._apply(consumed or {})
        except EventflowError as error:
            result.set_exception(error)
        else:
            result.set_result(None)
        return result

    def abort(self) -> None:
        self._is_open = False
        self._records.clear()

    def _apply(self, consumed: Mapping[str, int]) -> None:
        with self._engine.database.write() as connection:
            self._guard.check(connection, self._epoch)
            append(connection, self._records, self._engine.wall_clock(), gap=1)
            self._guard.consume(connection, consumed)
        self._engine.wakers.wake_all()

    def _require_open(self) -> None:
        if not self._is_open:
            raise RuntimeError("This transaction was committed or aborted; begin a new one.")


class SqliteWriter:
    """Of the port: the holder of a transactional id, outside of any group."""

    def __init__(self, engine: Engine, transactional_id: str) -> None:
        self._engine = engine
        self._transactional_id = transactional_id
        self._pid = os.getpid()
        self._open: BufferedTransaction | None = None
        with engine.database.write() as connection:
            self._epoch = take_over(connection, transactional_id)

    def begin(self) -> BufferedTransaction:
        with self._engine.database.read() as connection:
            self.check(connection, self._epoch)
        if self._open is not None and self._open.is_open:
            raise RuntimeError(f"{self._transactional_id} has an open transaction already.")
        self._open = BufferedTransaction(self._engine, self, self._epoch)
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.abort()

    def check(self, connection: sqlite3.Connection, epoch: int) -> None:
        """As of a guard."""
        refuse_in_fork(self._pid)
        check_epoch(connection, self._transactional_id, epoch)

    def consume(
        self,
        connection: sqlite3.Connection,  # noqa: ARG002
        consumed: Mapping[str, int],
    ) -> None:
        """As of a guard: outside of a group nothing is consumed."""
        if consumed:
            raise RuntimeError("A writer belongs to no group, so it has no consumed offsets.")


def take_over(connection: sqlite3.Connection, transactional_id: str) -> int:
    """A new epoch of the id, inside a write: every older one is fenced from its end on."""
    connection.execute(
        "INSERT INTO writers VALUES (?, 1)"
        " ON CONFLICT (transactional_id) DO UPDATE SET epoch = epoch + 1",
        (transactional_id,),
    )
    return _epoch(connection, transactional_id)


def check_epoch(connection: sqlite3.Connection, transactional_id: str, epoch: int) -> None:
    """Make sure that nobody took the id over since `epoch`.

    Raises:
        Fenced: somebody did.
    """
    if _epoch(connection, transactional_id) != epoch:
        raise Fenced(f"{transactional_id} was taken over by another writer; nothing was written.")


def refuse_in_fork(pid: int) -> None:
    """Let nobody but the process `pid` pass: a fork must not write in its parent's name.

    Raises:
        Fenced: this is another process.
    """
    if os.getpid() != pid:
        raise Fenced("This was made before a fork and belongs to the parent; make one here.")


def _epoch(connection: sqlite3.Connection, transactional_id: str) -> int:
    (epoch,) = connection.execute(
        "SELECT epoch FROM writers WHERE transactional_id = ?", (transactional_id,)
    ).fetchone()
    assert isinstance(epoch, int)
    return epoch
