"""A service as a process: driven as `eventflow/serving.py` does it, and started again.

What is retriable is tried again after a pause; any other error ends the process. Now and then it
is told to leave, as in a rolling restart. Whatever supervises it starts it again some time later.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import BusUnreachable, Retriable, StoreUnreachable
from tests.simulation.universe import Crashed, SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.serving import Service
    from tests.simulation.installation import Installation
    from tests.simulation.universe import Process

__all__ = ["AWAY", "ServiceProcess", "said"]

AWAY = (Retriable, BusUnreachable, StoreUnreachable)
_STEP = timedelta(seconds=1)  # longer than the real one: nothing but time passes in between
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=100), timedelta(seconds=5)
_GRACE = timedelta(seconds=20)
_DOWN_MS, _SHORTLY_DOWN_MS = (50, 15_000), (50, 1_000)


def said(error: BaseException) -> str:
    """An error and where it came from, in one text."""
    return "".join(traceback.format_exception(error))


@dataclass
class ServiceProcess:
    """A process that is there again some time after each of its ends. `make` gives the service,
    and what happens to the rest of its machine when it is dead."""

    installation: Installation
    name: str
    make: Callable[[Process], tuple[Service, Callable[[], None]]]
    clock: SimulatedClock = field(init=False)
    _on_death: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.universe = self.installation.universe
        self.clock = SimulatedClock(self.universe)

    def start(self) -> None:
        """Start it, now."""
        self.universe.spawn(self.name, self._main, self._ended, self.clock)

    def _main(self, process: Process) -> None:
        service, self._on_death = self.make(process)
        pause = _FIRST_PAUSE
        while not self.universe.happens("process.leaves"):
            pause = self._step(service, pause)
        self._leave(service)

    def _step(self, service: Service, pause: timedelta) -> timedelta:
        """One step; how long the next pause would be."""
        try:
            service.step(_STEP)
        except AWAY as error:
            self.universe.tell(f"waits: {error}")
            self.universe.wait(pause, lambda: False)
            return min(pause * 2, _LONGEST_PAUSE)
        return _FIRST_PAUSE

    def _leave(self, service: Service) -> None:
        service.drain()
        pause, until = _FIRST_PAUSE, self.universe.time + _GRACE
        while not service.is_drained and self.universe.time < until:
            pause = self._step(service, pause)
        with suppress(*AWAY):  # nobody was told; the others will see
            service.close()

    def _ended(self, process: Process, died_of: BaseException | None) -> None:
        if died_of is not None and not isinstance(died_of, (Crashed, *AWAY)):
            self.installation.oddities.append(f"{process.name} ended with {said(died_of)}")
        if self._on_death is not None:
            self._on_death()
            self._on_death = None
        is_over = self.universe.happenings.is_over
        down = self.universe.random.randint(*(_SHORTLY_DOWN_MS if is_over else _DOWN_MS))
        self.universe.later(timedelta(milliseconds=down), self.start)
