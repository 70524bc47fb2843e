"""One partition of a simulated topic, as a broker keeps it.

It holds records of open, committed and aborted transactions, and the markers that end them, which
take an offset each. The *high watermark* is the offset after the last of all that. The *last
stable offset* is where readers of committed records stop: at the first record of a transaction
whose marker has not arrived, however much stands behind it.

A reader may fetch from a replica that is behind (KIP-392, or a leader that was just elected): a
marker counts for readers only once it is replicated there, the high watermark knows it at once.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING

from eventflow.model.log import Record

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from eventflow.model.log import NewRecord, TopicPartition

__all__ = ["Entry", "PartitionLog", "Verdict"]

_OFFSET = attrgetter("record.offset")


@dataclass(slots=True, eq=False)
class Verdict:
    """What became of a transaction, of which `writer` (a pid) is the author. `sequence`: when it
    was decided, in the one order of the universe; None as long as it is open."""

    writer: int
    is_committed: bool = False
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and the verdict that says whether it is seen."""

    record: Record
    verdict: Verdict


@dataclass(slots=True, eq=False)
class PartitionLog:
    """`everything` has also what compaction and retention removed: for the checker."""

    at: TopicPartition
    low: int = 0
    high: int = 0
    entries: list[Entry] = field(default_factory=list)
    everything: list[Entry] = field(default_factory=list)
    _open: dict[int, int] = field(default_factory=dict)
    _behind: list[int] = field(default_factory=list)

    @property
    def stable(self) -> int:
        """The last stable offset, where readers fetch."""
        return min(self.high, *self._open.values(), *self._behind, self.high)

    def append(self, new: NewRecord, now: datetime, verdict: Verdict) -> int:
        """Where it stands now. Brokers keep whole milliseconds."""
        offset = self.high
        self.high += 1
        if verdict.sequence is None:
            self._open.setdefault(id(verdict), offset)
        record = Record(
            topic=self.at.topic,
            partition=self.at.partition,
            offset=offset,
            key=new.key,
            value=new.value,
            headers=new.headers,
            appended_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        )
        entry = Entry(record, verdict)
        self.entries.append(entry)
        self.everything.append(entry)
        return offset

    def mark(self, verdict: Verdict, *, is_replicated: bool) -> Callable[[], None]:
        """End a transaction here. The answer is to be called when readers know of it; where the
        marker `is_replicated` they do already."""
        first = self._open.pop(id(verdict), self.high)
        self.high += 1
        if not is_replicated:
            self._behind.append(first)
        return lambda: None if is_replicated else self._behind.remove(first)

    def read(self, start: int, limit: int) -> tuple[list[Record], int]:
        """Up to `limit` committed records, and where to go on: behind what is not seen, too."""
        stable, position, records = self.stable, max(start, self.low), list[Record]()
        for entry in self.entries[self._index(position) :]:
            if entry.record.offset >= stable:
                break
            if len(records) == limit:
                return records, position
            position = entry.record.offset + 1
            if entry.verdict.is_committed:
                records.append(entry.record)
        return records, max(position, stable)

    def offset_at(self, at: datetime) -> int:
        """The first offset appended then or later; the high watermark when there is none."""
        for entry in self.entries:
            if entry.record.appended_at >= at:
                return entry.record.offset
        return self.high

    def delete_before(self, offset: int) -> None:
        """Retention: the front goes."""
        self.low = max(self.low, min(offset, self.high))
        self.entries = self.entries[self._index(self.low) :]

    def clean(self) -> None:
        """Compaction: of each key, only the last settled value stays."""
        stable, last = self.stable, dict[bytes | None, int]()
        for entry in self.entries:
            if entry.verdict.is_committed and entry.record.offset < stable:
                last[entry.record.key] = entry.record.offset
        self.entries = [
            entry
            for entry in self.entries
            if entry.record.offset >= stable or last.get(entry.record.key) == entry.record.offset
        ]

    def _index(self, offset: int) -> int:
        return bisect_left(self.entries, offset, key=_OFFSET)
