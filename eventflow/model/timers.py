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

_Deployed = tuple[str, str]


class Timers:
    """At most one a deployment. That none is due is known without looking at each."""

    def __init__(self) -> None:
        self._timers: dict[_Deployed, Timer] = {}
        self._due: dict[_Deployed, datetime] = {}
        self._earliest: datetime | None = None

    def __iter__(self) -> Iterator[Timer]:
        """All of them, those that were let go included."""
        return iter(self._timers.values())

    @property
    def next_due_at(self) -> datetime | None:
        """When the first of them is due; None when none is."""
        if self._earliest is None and self._due:
            self._earliest = min(self._due.values())
        return self._earliest

    def due(self, until: datetime) -> Sequence[tuple[datetime, Timer]]:
        """Those due at `until` or before with their due times, in the order of these."""
        next_due_at = self.next_due_at
        if next_due_at is None or next_due_at > until:
            return ()
        due = sorted((at, deployed) for deployed, at in self._due.items() if at <= until)
        return [(at, self._timers[deployed]) for at, deployed in due]

    def passed(self, clock: datetime) -> Sequence[Timer]:
        """Those that were let go, and need not be kept now that the records have come so far."""
        if len(self._due) == len(self._timers):
            return ()
        return [each for each in self if each.due_at is None and each.passed_at <= clock]

    def of(self, namespace: str, flow: str) -> Timer | None:
        """The timer of a deployment, also one that was let go."""
        return self._timers.get((namespace, flow))

    def put(self, timer: Timer) -> None:
        """Set a timer, in the place of the deployment's former one."""
        deployed = timer.namespace, timer.flow
        self._timers[deployed] = timer
        self._due.pop(deployed, None)
        if timer.due_at is not None:
            self._due[deployed] = timer.due_at
        self._earliest = None

    def remove(self, timer: Timer) -> None:
        """Forget a timer.

        Raises:
            KeyError: the deployment has none.
        """
        deployed = timer.namespace, timer.flow
        del self._timers[deployed]
        self._due.pop(deployed, None)
        self._earliest = None
