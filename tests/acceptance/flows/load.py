"""A flow that an event starts."""

import fcntl
from pathlib import Path

from eventflow import FlowSpec, Parameter, current, step, trigger


@trigger(event="landed")
class Load(FlowSpec):
    """Doubles a number, once the file `gate` is locked by nobody."""

    number = Parameter("number", type=int, required=True)
    gate = Parameter("gate", default="")

    @step
    def start(self) -> None:
        """Double it."""
        if self.gate:
            with Path(self.gate).open() as gate:
                fcntl.flock(gate, fcntl.LOCK_SH)
        self.doubled = self.number * 2
        self.offset = current.trigger.event.offset if current.trigger else None
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Load()
