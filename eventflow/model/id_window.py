"""The window of de-duplication: ids that publishers set, kept for a time and up to a number.

Both bounds are looked at when an id is added, a few old ids at a time, so that no record costs
much; an id that is over its time and still here is not found. Time is the partition's, made of
append times, so that a replay finds what the first reading found.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventflow.model.state import SeenId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.model.event import EventRecord

__all__ = ["IdWindow", "seen_id_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIGEST_BYTES = 16
_FORGOTTEN_AT_ONCE = 4


class IdWindow:
    """The ids of one partition, in the order in which they were first seen.

    An id takes 24 packed bytes and its key, some 250 bytes of memory with the table around it.
    """

    def __init__(self, lasts: timedelta, at_most: int) -> None:
        self._lasts = lasts
        self._at_most = at_most
        self._seen: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[SeenId]:
        """All that are here, oldest first."""
        return (_unpacked(digest, packed) for digest, packed in self._seen.items())

    def find(self, digest: bytes, now: datetime) -> SeenId | None:
        """The id, when it was seen and its time is not over at `now`."""
        packed = self._seen.get(digest)
        if packed is None:
            return None
        seen = _unpacked(digest, packed)
        return None if self._is_over(seen, now) else seen

    def add(self, seen: SeenId) -> None:
        """Know an id from now on; a former one of the same digest is replaced."""
        self._seen[seen.digest] = _packed(seen)
        self._seen.move_to_end(seen.digest)

    def shrink(self, now: datetime) -> list[SeenId]:
        """Forget up to four of the oldest, while there are too many or their time is over.

        Called after each `add`, it keeps the number within its limit.
        """
        forgotten: list[SeenId] = []
        while self._seen and len(forgotten) < _FORGOTTEN_AT_ONCE:
            oldest = _unpacked(*next(iter(self._seen.items())))
            if len(self._seen) <= self._at_most and not self._is_over(oldest, now):
                break
            del self._seen[oldest.digest]
            forgotten.append(oldest)
        return forgotten

    def _is_over(self, seen: SeenId, now: datetime) -> bool:
        return now - seen.seen_at >= self._lasts


def seen_id_of(event: EventRecord, seen_at: datetime) -> SeenId:
    """What is remembered of an event with an id: two digests and a time."""
    key = f"{event.namespace}\0{event.name}\0{event.id}"
    return SeenId(_digest(key.encode()), _digest(event.payload), seen_at)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _packed(seen: SeenId) -> bytes:
    micros = (seen.seen_at - _EPOCH) // _MICROSECOND
    return seen.payload_digest + micros.to_bytes(8, "big", signed=True)


def _unpacked(digest: bytes, packed: bytes) -> SeenId:
    micros = int.from_bytes(packed[_DIGEST_BYTES:], "big", signed=True)
    return SeenId(digest, packed[:_DIGEST_BYTES], _EPOCH + micros * _MICROSECOND)
