"""Reading partitions of a simulated cluster: what a member of a group and a reader share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import Fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventflow.model.log import Record, TopicPartition
    from tests.simulation.simulated_link import Link
    from tests.simulation.simulated_log import PartitionLog

__all__ = ["Feed"]

_FEW = (1, 3)


@dataclass(slots=True, eq=False)
class _Followed:
    """The next offset to deliver (None: nobody knows it yet), and the end that was reported."""

    at: TopicPartition
    position: int | None
    is_paused: bool
    end: int = -1

    def has_news(self, log: PartitionLog) -> bool:
        """Whether there is a record, or another end than the one reported."""
        if self.is_paused or self.position is None:
            return False
        return max(self.position, log.low) < log.stable or self.end < self.position

    def take(self, log: PartitionLog, limit: int) -> list[Record]:
        assert self.position is not None
        records, self.position = log.read(self.position, limit)
        return records

    def meets_end(self, log: PartitionLog) -> bool:
        """Whether the end is met, and it was not said yet."""
        assert self.position is not None
        if self.position < log.stable or self.end >= self.position:
            return False
        self.end = self.position
        return True


class Feed:
    """Positions, and what stands behind them."""

    def __init__(self, link: Link) -> None:
        self._link, self._cluster = link, link.cluster
        self._followed: dict[TopicPartition, _Followed] = {}

    def follow(self, positions: Mapping[TopicPartition, int | None], *, is_paused: bool) -> None:
        """Read these partitions from now on, and no others."""
        self._followed = {at: _Followed(at, pos, is_paused) for at, pos in positions.items()}

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Go on there."""
        followed = self._of(at)
        followed.position, followed.end = offset, -1

    def pause(self, at: TopicPartition) -> None:
        """Deliver nothing of it."""
        self._of(at).is_paused = True

    def resume(self, at: TopicPartition, committed: Callable[[], int]) -> None:
        """Deliver again, from the position; where there is none, from what was `committed`."""
        followed = self._of(at)
        if followed.is_paused:
            if followed.position is None:
                followed.position = committed()
            followed.is_paused, followed.end = False, -1

    def has_news(self) -> bool:
        """Whether a fetch would move anything."""
        return any(each.has_news(log) for each, log in self._readable())

    def fetch(
        self, limit: int
    ) -> tuple[dict[TopicPartition, list[Record]], dict[TopicPartition, int]]:
        """Records, and the ends that were met; as of Kafka, an end comes after the records."""
        if self._is_short():
            limit = min(limit, self._link.universe.random.randint(*_FEW))
        records: dict[TopicPartition, list[Record]] = {}
        ended: dict[TopicPartition, int] = {}
        for followed, log in self._readable():
            found = followed.take(log, limit) if limit else []
            limit -= len(found)
            if found:
                records[followed.at] = found
            elif followed.meets_end(log):
                assert followed.position is not None
                ended[followed.at] = followed.position
        self._rotate()
        return records, ended

    def lag(self) -> dict[TopicPartition, int]:
        """Between the position and the end, where the position is known."""
        lag = {}
        for at, followed in self._followed.items():
            log = self._cluster.find(at)
            if log is not None and followed.position is not None:
                lag[at] = max(0, log.high - max(followed.position, followed.end))
        return lag

    def _of(self, at: TopicPartition) -> _Followed:
        if at not in self._followed:
            raise Fenced(f"{at} is not read here any more")
        return self._followed[at]

    def _readable(self) -> list[tuple[_Followed, PartitionLog]]:
        if self._link.away:
            return []
        pairs = ((each, self._cluster.find(each.at)) for each in self._followed.values())
        return [
            (each, log)
            for each, log in pairs
            if log is not None and not each.is_paused and each.position is not None
        ]

    def _is_short(self) -> bool:
        """Whether only few of the records have been fetched so far."""
        return self.has_news() and self._link.happens("fetch.short")

    def _rotate(self) -> None:
        """Another partition is the first one the next time: none starves."""
        for at in tuple(self._followed)[:1]:
            self._followed[at] = self._followed.pop(at)
