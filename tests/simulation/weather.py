"""What goes wrong for everybody at once, asked every second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.simulated_outage import Outage
    from tests.simulation.simulated_store import Bucket
    from tests.simulation.universe import Universe

__all__ = ["Weather"]

_OFTEN = timedelta(seconds=1)
_AWAY_MS = (500, 60_000)


@dataclass(frozen=True, slots=True)
class Weather:
    """Of one installation."""

    universe: Universe
    bucket: Bucket
    brokers: Outage

    def begin(self) -> None:
        """From the next second on, until mishaps are over."""
        self.universe.later(_OFTEN, self._change)

    def clear_up(self) -> None:
        """Whatever it was, it is over."""
        self.bucket.away_until = self.universe.time
        self.brokers.end()

    def _change(self) -> None:
        universe = self.universe
        if universe.happenings.is_over:
            return
        if universe.happens("everybody.dies"):  # the power is cut; what was acknowledged stays
            for process in tuple(universe.processes.values()):
                if process.is_alive:
                    universe.kill(process)
        if universe.happens("store.is-away"):
            lasts = timedelta(milliseconds=universe.random.randint(*_AWAY_MS))
            self.bucket.away_until = universe.time + lasts
        if universe.happens("brokers.are-away"):
            self.brokers.begin(timedelta(milliseconds=universe.random.randint(*_AWAY_MS)))
        self.begin()
