"""Deletes what retention and compaction allow, in small steps, while members poll.

Never the last value of a key, and never a watermark: offsets go on where they were. The file does
not shrink; its free pages are used again.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.log import offset_of, position_of, slot_of
from eventflow.model.log import Cleanup

if TYPE_CHECKING:
    import sqlite3

    from eventflow.bus.sqlite.engine import Engine

__all__ = ["Housekeeping"]

_PERIOD = timedelta(minutes=1)
_PAUSE = timedelta(milliseconds=100)
_STEP = 1000


class Housekeeping:
    """At most once a minute per process; a backlog in steps of 1000 records, 0.1 s apart."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._due_at = timedelta()
        self._at_work = Lock()

    def step(self) -> None:
        """Do a little, when it is time."""
        if self._engine.clock.elapsed() < self._due_at or not self._at_work.acquire(blocking=False):
            return
        try:
            is_done = self._compact() and self._trim()
            self._due_at = self._engine.clock.elapsed() + (_PERIOD if is_done else _PAUSE)
        finally:
            self._at_work.release()

    def _compact(self) -> bool:
        """Whether no record of a compacted topic is left that may go."""
        now = self._engine.wall_clock()
        with self._engine.database.read() as connection:
            garbage = connection.execute(
                "SELECT due_at, position FROM garbage WHERE due_at <= ? ORDER BY due_at LIMIT ?",
                (now, _STEP),
            ).fetchall()
        if garbage:
            with self._engine.database.write() as connection:
                for due_at, position in garbage:
                    _collect(connection, due_at, position)
        return len(garbage) < _STEP

    def _trim(self) -> bool:
        """Whether no record is left that is older than the retention of its topic."""
        with self._engine.database.read() as connection:
            slots = connection.execute(
                "SELECT slot, retention FROM partitions JOIN topics ON topics.name = topic"
                " WHERE cleanup = ? AND retention IS NOT NULL AND low < high",
                (str(Cleanup.DELETE),),
            ).fetchall()
        return all(self._trim_slot(slot, retention) for slot, retention in slots)

    def _trim_slot(self, slot: int, retention: int) -> bool:
        oldest = self._engine.wall_clock() - retention
        with self._engine.database.read() as connection:
            old = _older(connection, slot, oldest, 1) and _older(connection, slot, oldest, _STEP)
        if old:
            with self._engine.database.write() as connection:
                _delete_front(connection, slot, old[-1])
        return len(old) < _STEP


def _collect(connection: sqlite3.Connection, due_at: int, position: int) -> None:
    """Delete a superseded record, or a tombstone with what is known of its key."""
    connection.execute(
        "DELETE FROM latest WHERE slot = ? AND position = ?"
        " AND key = (SELECT key FROM records WHERE position = ?)",
        (slot_of(position), position, position),
    )
    connection.execute("DELETE FROM records WHERE position = ?", (position,))
    connection.execute("DELETE FROM garbage WHERE due_at = ? AND position = ?", (due_at, position))


def _older(connection: sqlite3.Connection, slot: int, oldest: int, limit: int) -> list[int]:
    """The positions among the first `limit` records that were appended before `oldest`."""
    rows = connection.execute(
        "SELECT position FROM (SELECT position, appended_at FROM records"
        " WHERE position >= ? AND position < ? ORDER BY position LIMIT ?) WHERE appended_at < ?",
        (position_of(slot, 0), position_of(slot + 1, 0), limit, oldest),
    )
    return [position for (position,) in rows.fetchall()]


def _delete_front(connection: sqlite3.Connection, slot: int, last: int) -> None:
    """Delete up to and with the position `last`."""
    connection.execute(
        "DELETE FROM records WHERE position >= ? AND position <= ?", (position_of(slot, 0), last)
    )
    connection.execute(
        "UPDATE partitions SET low = max(low, ?) WHERE slot = ?", (offset_of(last) + 1, slot)
    )
