"""`eventflow up` that says when it reached each fault point: `python -m benchmarks.traced_up FILE`.

Fault points lie between any two effects, so the times between them say where time goes. They are
written to FILE when the program is told to stop: one line each, nanoseconds and name.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from eventflow import app
from eventflow.effects import Effects
from eventflow.metrics import ProcessMetrics
from eventflow.readiness import Readiness
from eventflow.serving import serve

__all__ = ["Stamps", "main"]


@dataclass(slots=True)
class Stamps:
    """Fault points that keep the times at which they were reached, in order."""

    reached: list[tuple[int, str]] = field(default_factory=list)

    def reach(self, name: str) -> None:
        """See `Faults`."""
        self.reached.append((time.time_ns(), name))

    def write(self, path: Path) -> None:
        """One line each."""
        path.write_text("".join(f"{at} {name}\n" for at, name in self.reached))


def main(path: Path) -> None:
    """Until SIGTERM."""
    stamps, registry = Stamps(), CollectorRegistry()
    world = replace(app.connect(), effects=Effects(faults=stamps))
    app.prepare(world)
    serve(
        [
            ("trigger-service", lambda: app.trigger_service(world, registry)),
            ("runner", lambda: app.runner(world, registry)),
        ],
        grace=world.settings.runner.grace,
        readiness=Readiness(ProcessMetrics(registry)),
    )
    world.close()
    stamps.write(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
