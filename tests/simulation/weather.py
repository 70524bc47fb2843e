"""What goes wrong outside of processes, asked every second: power, network, servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.simulated_outage import Outage
    from tests.simulation.simulated_store import Bucket
    from tests.simulation.universe import Process, Universe

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
        for process in self._alive:
            process.cut_off_until = self.universe.time

    @property
    def _alive(self) -> list[Process]:
        return [each for each in self.universe.processes.values() if each.is_alive]

    def _change(self) -> None:
        universe = self.universe
        if universe.happenings.is_over:
            return
        if universe.happens("everybody.dies"):  # the power is cut; what was acknowledged stays
            for process in self._alive:
                universe.kill(process)
        if universe.happens("store.is-away"):
            lasts = timedelta(milliseconds=universe.random.randint(*_AWAY_MS))
            self.bucket.away_until = universe.time + lasts
        if universe.happens("brokers.are-away"):
            self.brokers.begin(timedelta(milliseconds=universe.random.randint(*_AWAY_MS)))
        if self._alive and universe.happens("process.is-cut-off"):
            self._cut_off(universe.random.choice(self._alive))
        self.begin()

    def _cut_off(self, process: Process) -> None:
        """The brokers and one process do not reach each other; it goes on."""
        lasts = timedelta(milliseconds=self.universe.random.randint(*_AWAY_MS))
        process.cut_off_until = self.universe.time + lasts
        self.universe.later(lasts, self.universe.notify)
