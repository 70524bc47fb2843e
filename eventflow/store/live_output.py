"""What attempts have printed so far: pieces beside the attempt, while it is at work.

    live/e1~train~0~0/<when it was begun>-<token>/<n>

Each piece has what came since the one before it, of both streams, and at what times. They are
numbered by one writer (`execution/scribe.py`). An attempt that is begun once more is another
folder, which counts from then on. When the attempt has ended, its `stdout` and `stderr` are the
truth, and the pieces are removed; those of an attempt whose processes were all killed stay: they
are all that is left of what it printed. Nothing is decided by them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = [
    "STREAMS",
    "LiveOutput",
    "Mark",
    "Portion",
    "decode_piece",
    "encode_piece",
    "has_ended",
    "left_out_line",
    "live_attempts",
    "remove_pieces",
    "rest_of_output",
    "unended",
]

STREAMS = ("stdout", "stderr")

_LARGE_BYTES = 2**20
_LEFT_OUT = re.compile(rb"\n\xe2\x80\xa6 (\d+) bytes are left out here \xe2\x80\xa6\n")

Mark = tuple[int, int]
"""(offset, time): what stands before this offset had been printed by then, in Unix ms."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of a stream: the bytes from `start` on, and marks in order. What lies between two
    portions was left out."""

    start: int
    data: bytes
    marks: tuple[Mark, ...] = ()

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.start + len(self.data)


def encode_piece(portions: Mapping[str, Portion]) -> bytes:
    """A piece: a line of JSON, then the bytes of each of its streams."""
    streams = {
        name: {"start": each.start, "size": len(each.data), "marks": each.marks}
        for name, each in portions.items()
    }
    head = json.dumps(streams, separators=(",", ":")).encode()
    return b"\n".join([head, b"".join(each.data for each in portions.values())])


def decode_piece(key: str, data: bytes) -> dict[str, Portion]:
    """What `encode_piece` made.

    Raises:
        CorruptObject: it is something else.
    """
    head, _, body = data.partition(b"\n")
    portions: dict[str, Portion] = {}
    try:
        for name, about in json.loads(head).items():
            marks = tuple((int(offset), int(at)) for offset, at in about["marks"])
            portions[name] = Portion(about["start"], body[: about["size"]], marks)
            body = body[about["size"] :]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptObject(f"{key} is no piece of output.") from error
    return portions


class LiveOutput:
    """Follows the pieces of one attempt."""

    def __init__(self, store: Store, place: RunPlace, key: TaskKey) -> None:
        self._store, self._prefix = store, place.live(key)
        self._last = self._execution = ""

    def read(self) -> Iterator[tuple[str, Portion]]:
        """What was added since the last call, each with its stream. A portion that begins at 0
        again is of an attempt that was begun once more.

        Raises:
            CorruptObject: a piece is none.
        """
        keys = [each.key for each in self._store.list(self._prefix, after=self._last)]
        if not keys:
            return
        self._execution = max(self._execution, *map(_execution, keys))
        wanted = [key for key in keys if _execution(key) == self._execution]
        self._last = keys[-1]
        for key, data in self._store.get_all(wanted):
            if data is not None:  # removed meanwhile: the attempt has ended
                yield from decode_piece(key, data).items()


def left_out_line(count: int) -> bytes:
    """The line that stands in place of so many bytes."""
    return f"… {count} bytes are left out here …".encode()


def rest_of_output(output: bytes, seen: int) -> int:
    """Where in the output of an attempt that ended somebody goes on who has read its pieces up to
    the offset `seen`."""
    found = None
    if len(output) > _LARGE_BYTES:  # the line stands in the middle of it
        found = _LEFT_OUT.search(output, len(output) // 3, len(output) * 2 // 3)
    if found is None or seen <= found.start():
        return seen
    unseen = len(output) - len(found[0]) + int(found[1]) - seen
    at = len(output) - unseen
    return at if at >= found.end() else found.start()


def remove_pieces(store: Store, place: RunPlace, key: TaskKey) -> None:
    """Remove the pieces of an attempt whose output stands."""
    store.delete([each.key for each in store.list(place.live(key))])


def live_attempts(
    store: Store, place: RunPlace, step: str | None = None, task: str | None = None
) -> tuple[TaskKey, ...]:
    """The attempts of which there are pieces; of a step or a task when one is given."""
    found = (
        place.attempt_of_live(each.key) for each in store.list(place.live_prefix, folders=True)
    )
    return tuple(
        sorted(
            key
            for key in found
            if key is not None and step in (None, key.step) and task in (None, key.task)
        )
    )


def unended(
    store: Store, place: RunPlace, step: str | None = None, task: str | None = None
) -> tuple[TaskKey, ...]:
    """Those of them that have not said how they ended: at work, or lost with all their
    processes."""
    live = live_attempts(store, place, step, task)
    return tuple(key for key in live if not has_ended(store, place, key))


def has_ended(store: Store, place: RunPlace, key: TaskKey) -> bool:
    """Whether an attempt has said how it ended."""
    return any(store.info(last) is not None for last in (place.artifacts(key), place.failure(key)))


def _execution(key: str) -> str:
    return key.rsplit("/", 2)[-2]
