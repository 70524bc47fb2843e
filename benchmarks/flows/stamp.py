"""A flow whose first line says when it is reached."""

import time
from pathlib import Path

from eventflow import FlowSpec, Parameter, step, trigger


@trigger(event="measured")
class Stamp(FlowSpec):
    """Leaves the time in `folder`, under `number`."""

    number = Parameter("number", type=int, required=True)
    folder = Parameter("folder", required=True)

    @step
    def start(self) -> None:
        """Reached."""
        reached_at = time.time_ns()
        Path(self.folder, str(self.number)).write_text(f"{reached_at}\n")
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Stamp()
