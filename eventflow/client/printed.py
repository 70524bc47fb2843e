"""What attempts printed: kept output, that of the task that one was cloned from, or pieces.

Kept output is the truth. Where there is none and the attempt has not ended, its pieces say what
it has printed so far; where it was lost with all its processes, they are all that is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventflow.context import world
from eventflow.errors import ObjectMissing
from eventflow.store.artifacts import read_task
from eventflow.store.attempts import (
    attempt_of,
    attempts_of,
    ended_attempts,
    in_order_of_tasks,
)
from eventflow.store.finding import find_run, namespaces_of
from eventflow.store.line_times import GrowingLines, read_times
from eventflow.store.live_output import (
    STREAMS,
    LiveOutput,
    has_ended,
    left_out_line,
    live_attempts,
    rest_of_output,
)
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from eventflow.model.task import TaskKey
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace

__all__ = [
    "Follower",
    "LostAttempt",
    "PrintedLine",
    "lines_of",
    "origin_of",
    "printed",
    "printed_lines",
]

_NOTHING = dict.fromkeys(STREAMS, 0)


def origin_of(place: RunPlace, key: TaskKey) -> tuple[RunPlace, TaskKey]:
    """Where the output of an attempt is: with the task that it was cloned from, or its own."""
    return _resolved(place, key)[:2]


def printed(place: RunPlace, key: TaskKey, stream: str) -> bytes:
    """What an attempt printed to a stream, or has so far; empty when nothing is known of it."""
    try:
        return world().store.get(place.output(key, stream))
    except ObjectMissing:
        if _record(place, key) is None:
            return _so_far(place, key, stream)
    origin = origin_of(place, key)
    return b"" if origin == (place, key) else printed(*origin, stream)


def printed_lines(
    place: RunPlace, key: TaskKey, stream: str, *, seen: int = 0
) -> Iterator[tuple[datetime, bytes]]:
    """Its lines without their ends, each with the time by which it had been printed. Of an attempt
    that has ended, those behind `seen`, the offset up to which its pieces were read."""
    place, key, record = _resolved(place, key)
    store = world().store
    about = store.info(place.output(key, stream))
    if about is None:
        if record is None:
            yield from _lines_so_far(place, key, stream, seen)
        return
    output = store.get(about.key)
    ended_at = record.finished_at if record else about.modified_at
    assert ended_at is not None, "an object has a time"
    times = read_times(store, place, key, stream)
    yield from times.of_lines(output, ended_at, start=rest_of_output(output, seen))


class PrintedLine(NamedTuple):
    """A line of an attempt, without its end. `at`, aware UTC: by then it had been printed."""

    key: TaskKey
    stream: str
    at: datetime
    text: str


def lines_of(
    place: RunPlace, key: TaskKey, seen: Mapping[str, int] = _NOTHING
) -> Iterator[PrintedLine]:
    """The lines of both streams of an attempt, behind what was `seen` of each."""
    for stream in STREAMS:
        for at, line in printed_lines(place, key, stream, seen=seen[stream]):
            yield _line(key, stream, at, line)


class LostAttempt(NamedTuple):
    """An attempt that was lost with all its processes: its pieces are all that is left."""

    key: TaskKey


class Follower:
    """Follows what the attempts of a run print; of one step, task or number of attempt when that
    is given. Reads the store only, so it works on any machine."""

    def __init__(
        self, place: RunPlace, step: str | None, task: str | None, attempt: int | None
    ) -> None:
        self._place, self._step, self._task, self._attempt = place, step, task, attempt
        self._steps = [node.name for node in read_run(world().store, place).graph.steps]
        self._live: dict[TaskKey, _Followed] = {}
        self._done: set[TaskKey] = set()

    def look(self, *, is_over: bool = False) -> Iterator[PrintedLine | LostAttempt]:
        """The lines that came since the last look: whole lines of attempts at work, and all that
        was left of those that have ended. Of one that will never say how it ended, since another
        one came after it or the run `is_over`, all that there is, and that it was lost."""
        store, place = world().store, self._place
        ended = ended_attempts(store, place, self._step, self._task)
        live = {*live_attempts(store, place, self._step, self._task), *self._live}
        if is_over:
            steps = self._steps if self._step is None else [self._step]
            ended.update(*(attempts_of(store, place, step) for step in steps))
        for key in self._in_order((ended | live) - self._done):
            if key in ended:
                self._done.add(key)
                yield from self._rest_of(key)
            else:
                yield from self._followed(key).look()
                is_passed = is_over or any(_is_after(each, key) for each in ended | live)
                if is_passed and not has_ended(store, place, key):
                    self._done.add(key)
                    yield from self._live.pop(key).end()
                    yield LostAttempt(key)

    def _followed(self, key: TaskKey) -> _Followed:
        if key not in self._live:
            self._live[key] = _Followed(self._place, key)
        return self._live[key]

    def _rest_of(self, key: TaskKey) -> Iterator[PrintedLine]:
        followed = self._live.pop(key, None)
        seen = {stream: followed.done(stream) if followed else 0 for stream in STREAMS}
        return lines_of(self._place, key, seen)

    def _in_order(self, keys: set[TaskKey]) -> list[TaskKey]:
        wanted = [key for key in keys if key.step in self._steps and self._is_wanted(key)]
        return sorted(wanted, key=self._place_in_order)

    def _is_wanted(self, key: TaskKey) -> bool:
        return self._task in (None, key.task) and self._attempt in (None, key.attempt)

    def _place_in_order(self, key: TaskKey) -> tuple[object, ...]:
        step = self._steps.index(key.step)
        return step, in_order_of_tasks(key.task), key.epoch, key.attempt


class _Followed:
    """An attempt at work."""

    def __init__(self, place: RunPlace, key: TaskKey) -> None:
        self._key, self._output = key, LiveOutput(world().store, place, key)
        self._lines = {stream: GrowingLines() for stream in STREAMS}

    def done(self, stream: str) -> int:
        """The offset behind the last line that was given."""
        return self._lines[stream].done

    def look(self) -> Iterator[PrintedLine]:
        for stream, portion in self._output.read():
            for at, line in self._lines[stream].add(portion):
                yield _line(self._key, stream, at, line)

    def end(self) -> Iterator[PrintedLine]:
        for stream, lines in self._lines.items():
            for at, line in lines.end():
                yield _line(self._key, stream, at, line)


def _is_after(key: TaskKey, other: TaskKey) -> bool:
    return (key.step, key.task) == (other.step, other.task) and key > other


def _line(key: TaskKey, stream: str, at: datetime, line: bytes) -> PrintedLine:
    return PrintedLine(key, stream, at, line.decode(errors="replace"))


def _resolved(place: RunPlace, key: TaskKey) -> tuple[RunPlace, TaskKey, TaskRecord | None]:
    store = world().store
    record = _record(place, key)
    while record is not None and record.origin:
        place = find_run(store, place.flow, namespaces_of(store, place.flow), record.origin)
        key = attempt_of(store, place, key.step, key.task)
        record = _record(place, key)
    return place, key, record


def _record(place: RunPlace, key: TaskKey) -> TaskRecord | None:
    try:
        return read_task(world().store, place, key)
    except ObjectMissing:
        return None


def _so_far(place: RunPlace, key: TaskKey, stream: str) -> bytes:
    output = bytearray()
    end = 0
    for name, portion in LiveOutput(world().store, place, key).read():
        if name != stream:
            continue
        if portion.start > end:
            output += b"\n" + left_out_line(portion.start - end) + b"\n"
        output += portion.data
        end = portion.end
    return bytes(output)


def _lines_so_far(
    place: RunPlace, key: TaskKey, stream: str, seen: int
) -> Iterator[tuple[datetime, bytes]]:
    lines = GrowingLines()
    for name, portion in LiveOutput(world().store, place, key).read():
        if name == stream:
            found = lines.add(portion)
            yield from (each for each in found if lines.done > seen)
    yield from lines.end()
