"""Timers: the schedules of a partition's deployments, and when each is due next.

A timer lives in the partition of its deployment's namespace only, and stands in `trigger-state`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from eventflow.model.state import Timer

__all__ = ["Timers"]


class Timers:
    """At most one a deployment. That none is due is known without looking at each."""

    def __init__(self) -> None:
        self._timers: dict[tuple[str, str], Timer] = {}
        self._earliest: datetime | None = None

    def __iter__(self) -> Iterator[Timer]:
        """All of them."""
        return iter(self._timers.values())

    @property
    def next_due_at(self) -> datetime | None:
        """When the first of them is due; None when there is none."""
        if self._earliest is None and self._timers:
            self._earliest = min(timer.due_at for timer in self._timers.values())
        return self._earliest

    def due(self, until: datetime) -> Sequence[Timer]:
        """Those due at `until` or before, in the order of their due times."""
        next_due_at = self.next_due_at
        if next_due_at is None or next_due_at > until:
            return ()
        return sorted((timer for timer in self if timer.due_at <= until), key=_order)

    def of(self, namespace: str, flow: str) -> Timer | None:
        """The timer of a deployment."""
        return self._timers.get((namespace, flow))

    def put(self, timer: Timer) -> None:
        """Set a timer, in the place of the deployment's former one."""
        self._timers[timer.namespace, timer.flow] = timer
        self._earliest = None

    def remove(self, timer: Timer) -> None:
        """Let go of a timer.

        Raises:
            KeyError: the deployment has none.
        """
        del self._timers[timer.namespace, timer.flow]
        self._earliest = None


def _order(timer: Timer) -> tuple[datetime, str, str]:
    return timer.due_at, timer.namespace, timer.flow
