"""A clock that moves only when it is told to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["HandClock"]


@dataclass
class HandClock:
    """The clocks of `eventflow.effects`, set by hand; `wall` may be set back."""

    wall: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    boot: timedelta = timedelta(hours=1)

    def now(self) -> datetime:
        return self.wall

    def elapsed(self) -> timedelta:
        return self.boot

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.wall += by
        self.boot += by
