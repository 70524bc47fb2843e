"""A flow whose first step says when it is reached, and waits until it may go on."""

import os
import time
from pathlib import Path

from eventflow import FlowSpec, Parameter, step, trigger


@trigger(event="awaited")
class Wait(FlowSpec):
    """Adds a line to the file `number` in `folder`: the time, and its process."""

    number = Parameter("number", type=int, required=True)
    folder = Parameter("folder", required=True)

    @step
    def start(self) -> None:
        """Reached, maybe again."""
        with Path(self.folder, str(self.number)).open("a") as file:
            file.write(f"{time.time_ns()} {os.getpid()}\n")
        while not Path(self.folder, f"{self.number}-may-end").exists():
            time.sleep(0.02)
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing more."""


if __name__ == "__main__":
    Wait()
