"""States of tasks on `run-log`, for live views only: never lost sleep over, never decided by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.bus.port import Bus
    from eventflow.codec.codec import Codec
    from eventflow.effects import Effects
    from eventflow.model.log import NewRecord
    from eventflow.model.run import TaskState

__all__ = ["TaskStates"]

_EVERY = timedelta(milliseconds=250)


@dataclass(slots=True)
class TaskStates:
    """Gathers states and publishes them a few times a second, many in one go."""

    bus: Bus
    codec: Codec
    effects: Effects
    _waiting: list[NewRecord] = field(default_factory=list)
    _due: timedelta = timedelta()

    def add(self, state: TaskState) -> None:
        """Publish it soon."""
        self._waiting.append(self.codec.new_record(state))

    def flush(self) -> None:
        """Publish what waits, when it is time."""
        now = self.effects.clock.elapsed()
        if not self._waiting or now < self._due:
            return
        waiting, self._waiting, self._due = self._waiting, [], now + _EVERY
        self.bus.publish(waiting)
