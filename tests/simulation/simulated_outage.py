"""The time in which no broker answers: a restart, a cut network. Nothing is lost by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.universe import Universe

__all__ = ["Outage"]


@dataclass(eq=False)
class Outage:
    """Of one cluster. `until`: when the last one ends, or ended."""

    universe: Universe
    until: timedelta = timedelta()

    @property
    def left(self) -> timedelta:
        """For how long nobody answers; zero when they do."""
        return max(self.until - self.universe.time, timedelta())

    def begin(self, lasts: timedelta) -> None:
        """Nobody answers from now on."""
        self.until = max(self.until, self.universe.time + lasts)
        self.universe.later(lasts, self.universe.notify)

    def end(self) -> None:
        """They answer again."""
        if self.left:
            self.until = self.universe.time
            self.universe.notify()

    def after(self, action: Callable[[], None]) -> None:
        """What a broker does now; or when it is back."""
        if self.left:
            self.universe.later(self.left, partial(self.after, action))
        else:
            action()
