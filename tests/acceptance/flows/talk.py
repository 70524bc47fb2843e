"""A step that talks for as long as it may, and another one in parallel tasks."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from eventflow import FlowSpec, Parameter, project, step


def say(text: str) -> None:
    """Print it now, whether a line or not."""
    sys.stdout.write(text)
    sys.stdout.flush()


@project(name="talks")
class Talk(FlowSpec):
    """Says what it does while it does it."""

    folder = Parameter("folder", default="")

    @step
    def start(self) -> None:
        """Stays for ever the first time; later until it may go."""
        beside = Path(self.folder)
        is_first = not (beside / "first").exists()
        (beside / "first").touch()
        say("the first time\n" if is_first else "once more\n")
        sys.stderr.write("aside\n")
        say("… and half a line")
        while not (beside / ("never" if is_first else "go")).exists():
            time.sleep(0.02)
        say(" that ends\n")
        self.next(self.end)

    @step
    def end(self) -> None:
        """Is short."""
        say("the end\n")


if __name__ == "__main__":
    Talk()
