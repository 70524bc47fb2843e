"""When the lines of an attempt were printed: `times.json` beside its output.

Put after the end of an attempt that ran for longer than a second, by who had followed what it
printed meanwhile. Without one, lines have the time of the attempt's end.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject, ObjectMissing
from eventflow.store.deciding import encode_json, read_json
from eventflow.store.live_output import left_out_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace
    from eventflow.store.live_output import Mark, Portion
    from eventflow.store.port import Store

__all__ = ["GrowingLines", "LineTimes", "read_times", "thinned", "time_of_ms", "write_times"]

_MOST_MARKS = 4096
_LONGEST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class LineTimes:
    """The times of one stream. `size_bytes` is all that it had, also what was left out."""

    marks: Sequence[Mark] = ()
    size_bytes: int = 0

    def of_lines(
        self, output: bytes, ended_at: datetime, *, start: int = 0
    ) -> Iterator[tuple[datetime, bytes]]:
        """The lines of the kept output from `start` on, without their ends, each with the time by
        which it had been printed: what was not seen before, with that of the end."""
        offsets = [offset for offset, _ in self.marks]
        left_out = max(0, self.size_bytes - len(output))
        end = start
        for line in output[start:].splitlines(keepends=True):
            end += len(line)
            # In the middle something is left out: the second half counts from the end.
            offset = end if end <= len(output) // 2 else end + left_out
            at = bisect_left(offsets, offset)
            time = time_of_ms(self.marks[at][1]) if at < len(offsets) else ended_at
            yield time, line.rstrip(b"\r\n")


class GrowingLines:
    """The lines of one stream as its portions come, each with the time by which it was there."""

    def __init__(self) -> None:
        self._rest, self._at, self.done = b"", datetime.now(UTC), 0
        """`done` is the offset behind the last line that was given."""

    def add(self, portion: Portion) -> Iterator[tuple[datetime, bytes]]:
        """The lines that are whole now."""
        seen = self.done + len(self._rest)
        if portion.start != seen:
            yield from self.end()
            if portion.start > seen:
                yield self._at, left_out_line(portion.start - seen)
            self.done = portion.start
        offsets = [offset for offset, _ in portion.marks]
        *lines, rest = (self._rest + portion.data).split(b"\n")
        if len(rest) > _LONGEST_BYTES:
            lines, rest = [*lines, rest], b""
        self._rest = rest
        for line in lines:
            self.done = min(self.done + len(line) + 1, portion.end)
            at = bisect_left(offsets, self.done)
            self._at = time_of_ms(portion.marks[at][1]) if at < len(offsets) else self._at
            yield self._at, line.rstrip(b"\r")

    def end(self) -> Iterator[tuple[datetime, bytes]]:
        """What is left, though its line has no end."""
        rest, self._rest = self._rest, b""
        self.done += len(rest)
        if rest:
            yield self._at, rest


def time_of_ms(ms: int) -> datetime:
    """A time, aware UTC, from Unix milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def thinned(marks: list[Mark]) -> list[Mark]:
    """At most some thousand of these marks: of too many, every second one."""
    return marks[::-2][::-1] if len(marks) > _MOST_MARKS else marks


def write_times(
    store: Store, place: RunPlace, key: TaskKey, streams: Mapping[str, LineTimes]
) -> None:
    """Keep the times of an attempt that has ended."""
    content = {
        name: {"marks": [list(mark) for mark in each.marks], "size": each.size_bytes}
        for name, each in streams.items()
    }
    store.put_if_absent(place.times(key), encode_json(content))


def read_times(store: Store, place: RunPlace, key: TaskKey, stream: str) -> LineTimes:
    """The times of a stream; without marks when nobody had followed it.

    Raises:
        CorruptObject: they cannot be read.
    """
    try:
        about = read_json(store, place.times(key)).get(stream)
    except ObjectMissing:
        return LineTimes()
    if about is None:
        return LineTimes()
    try:
        marks = [(int(offset), int(at)) for offset, at in about["marks"]]
        return LineTimes(marks, int(about["size"]))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptObject(f"{store.url}/{place.times(key)} is not what it should be.") from error
