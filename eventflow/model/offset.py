"""Offsets: where in the log a record stands. The key of lineage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Offset", "merge_roots"]


@dataclass(frozen=True, slots=True, order=True)
class Offset:
    """One place of a log. `topic_id` tells a topic from a later one of the same name.

    `str()` is `topic/partition/offset`, the form that people type.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @staticmethod
    def parse(text: str) -> tuple[str, int, int]:
        """(topic, partition, offset) of `topic/partition/offset`.

        Raises:
            InvalidName: it has another shape.
        """
        parts = text.split("/")
        if len(parts) != 3 or not parts[1].isdigit() or not parts[2].isdigit():
            raise InvalidName(f"{text!r} is no offset: it is written topic/partition/offset.")
        return parts[0], int(parts[1]), int(parts[2])


def merge_roots(roots: Iterable[Offset]) -> tuple[Offset, ...]:
    """For each topic id and partition the highest offset, in a stable order."""
    highest: dict[tuple[str, int], Offset] = {}
    for root in roots:
        key = (root.topic_id, root.partition)
        known = highest.get(key)
        if known is None or known.offset < root.offset:
            highest[key] = root
    return tuple(sorted(highest.values()))
