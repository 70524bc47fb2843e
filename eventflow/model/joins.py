"""Joins: the events that wait, per deployment, until every name of its trigger has one.

A join lives in the partition of its deployment's namespace only. What it holds stands in
`trigger-state` record by record, in the order of arrival.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.model.state import HeldEvent
    from eventflow.model.trigger import Trigger

__all__ = ["Joins", "by_age"]


@dataclass(slots=True)
class _Join:
    held: deque[HeldEvent] = field(default_factory=deque)
    names: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0


class Joins:
    """The open joins of a partition. Per deployment at most `at_most` events and
    `at_most_bytes` bytes of payload; the last event to arrive always has room."""

    def __init__(self, at_most: int, at_most_bytes: int) -> None:
        self._at_most = at_most
        self._at_most_bytes = at_most_bytes
        self._open: dict[tuple[str, str], _Join] = {}

    def __iter__(self) -> Iterator[HeldEvent]:
        """All held events, those of one deployment in the order of arrival."""
        for join in self._open.values():
            yield from join.held

    def waiting(self, namespace: str, flow: str) -> Sequence[HeldEvent]:
        """What a deployment holds, in the order of arrival."""
        join = self._open.get((namespace, flow))
        return join.held if join else ()

    def lacks_only(self, name: str, namespace: str, flow: str, trigger: Trigger) -> bool:
        """Whether an event of that name would complete the join of a deployment."""
        join = self._open.get((namespace, flow))
        held: Counter[str] | tuple[str, ...] = join.names if join else ()
        return all(each.name == name or each.name in held for each in trigger.subscriptions)

    def hold(self, event: HeldEvent) -> None:
        """Keep an event waiting, whatever the limits say."""
        join = self._open.setdefault((event.namespace, event.flow), _Join())
        join.held.append(event)
        join.names[event.cause.name] += 1
        join.size_bytes += event.size_bytes

    def shrink(self, namespace: str, flow: str) -> list[HeldEvent]:
        """Let go of the oldest arrivals of a deployment, down to its limits; those."""
        join = self._open.get((namespace, flow), _Join())
        over = []
        while len(join.held) > 1 and self._is_full(join):
            over.append(join.held[0])
            self.let_go(join.held[0])
        return over

    def let_go(self, event: HeldEvent) -> None:
        """Hold one event no longer.

        Raises:
            KeyError, ValueError: it is not held.
        """
        key = (event.namespace, event.flow)
        join = self._open[key]
        join.held.remove(event)
        join.size_bytes -= event.size_bytes
        join.names[event.cause.name] -= 1
        if not join.names[event.cause.name]:
            del join.names[event.cause.name]
        if not join.held:
            del self._open[key]

    def take(self, namespace: str, flow: str) -> Sequence[HeldEvent]:
        """Everything that a deployment holds, held no longer; in the order of arrival."""
        join = self._open.pop((namespace, flow), None)
        return join.held if join else ()

    def _is_full(self, join: _Join) -> bool:
        return len(join.held) > self._at_most or join.size_bytes > self._at_most_bytes


def by_age(event: HeldEvent) -> tuple[object, ...]:
    """Sorts events from the oldest to the latest: by their time, then by their offset."""
    origin = event.cause.origin
    return event.cause.at, origin.topic_id, origin.partition, origin.offset
