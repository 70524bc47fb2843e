"""The partitions that one reader or member reads, each with its position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.log import position_of, read

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from eventflow.bus.sqlite.database import Database
    from eventflow.model.log import Record, TopicPartition

__all__ = ["Feed"]


@dataclass(slots=True)
class _Place:
    """Where a partition is read; `ended` when its end was reported since it was sought."""

    slot: int
    next: int
    high: int
    paused: bool
    ended: bool = False


class Feed:
    """Fetches what is committed beyond the positions. Used by one thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[TopicPartition, _Place] = {}
        self._turn = 0

    def add(self, at: TopicPartition, slot: int, start: int, *, paused: bool) -> None:
        """Read a partition from `start`."""
        self._places[at] = _Place(slot, start, start, paused)

    def remove(self, at: TopicPartition) -> None:
        """Read it no longer."""
        del self._places[at]

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        place = self._places[at]
        place.next, place.ended = offset, False

    def pause(self, at: TopicPartition, *, paused: bool) -> None:
        """Leave a partition out, or take it in again; its end is then reported again."""
        place = self._places[at]
        place.ended = place.ended and place.paused == paused
        place.paused = paused

    @property
    def lag(self) -> Mapping[TopicPartition, int]:
        """Offsets between position and end, as of the last fetch."""
        return {at: max(0, place.high - place.next) for at, place in self._places.items()}

    def fetch(
        self, limit: int
    ) -> tuple[dict[TopicPartition, Sequence[Record]], dict[TopicPartition, int]]:
        """At most `limit` records, by partition; and the ends that were reached."""
        if not self._places:
            return {}, {}
        with self._database.read() as connection:
            self._look(connection)
            records = self._take(connection, limit)
        return records, self._ends()

    def _look(self, connection: sqlite3.Connection) -> None:
        """How far each partition goes, the paused ones too (their lag counts)."""
        places = {place.slot: place for place in self._places.values()}
        marks = ", ".join("?" * len(places))
        query = f"SELECT slot, high FROM partitions WHERE slot IN ({marks})"  # noqa: S608 - marks
        for slot, high in connection.execute(query, tuple(places)).fetchall():
            places[slot].high = high

    def _take(
        self, connection: sqlite3.Connection, limit: int
    ) -> dict[TopicPartition, Sequence[Record]]:
        """Another partition comes first each time, so that no backlog starves the others."""
        taken: dict[TopicPartition, Sequence[Record]] = {}
        moved: list[tuple[_Place, int]] = []
        places = list(self._places.items())
        self._turn = (self._turn + 1) % len(places)
        for at, place in places[self._turn :] + places[: self._turn]:
            if limit and not place.paused and place.next < place.high:
                records = _read(connection, at, place, limit)
                # Fewer than asked for: all that is left is skipped or deleted offsets.
                is_cut = len(records) == limit
                moved.append((place, records[-1].offset + 1 if is_cut else place.high))
                limit -= len(records)
                if records:
                    taken[at] = records
        for place, position in moved:  # nothing raises any more: what is taken is delivered
            place.next, place.ended = position, False
        return taken

    def _ends(self) -> dict[TopicPartition, int]:
        ends = {}
        for at, place in self._places.items():
            if not (place.paused or place.ended) and place.next >= place.high:
                place.ended = True
                ends[at] = place.next
        return ends


def _read(
    connection: sqlite3.Connection, at: TopicPartition, place: _Place, limit: int
) -> Sequence[Record]:
    start, end = position_of(place.slot, place.next), position_of(place.slot, place.high)
    return read(connection, at, start, end, limit)
