"""One service in the chaos: a real process, and what it last said of itself at `/metrics`."""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests.chaos.processes import Process
from tests.servers.processes import ServerProcess

_SAMPLE = re.compile(r"^(eventflow_\w+)(?:\{.*\})? (\S+)$", re.MULTILINE)
_URL = re.compile(r"metrics: (http://\S+)")
_PATIENCE_S = 2.0


@dataclass(eq=False)
class Member:
    """A `trigger-service` or a `runner`. `last` has its metrics, labels added up, as of the last
    answer: what it counted is known after its death, but for the last moment."""

    kind: str
    server: ServerProcess
    process: Process
    last: Counter[str] = field(default_factory=Counter)

    @property
    def is_running(self) -> bool:
        """Whether it is there and was not stopped."""
        return self.process.is_alive and not self.process.is_stopped

    def look(self) -> None:
        """Ask it for its metrics; one that is stopped, starting or gone says nothing new."""
        found = _URL.search(self.server.log.read_text(errors="replace"))
        if found is None or not self.is_running:
            return
        with suppress(OSError), urllib.request.urlopen(found.group(1), timeout=_PATIENCE_S) as said:
            self.last = _read(said.read().decode())

    def says(self, metric: str) -> float:
        """The value of a metric, asked for now."""
        self.look()
        return self.last[metric]


def _read(text: str) -> Counter[str]:
    samples: Counter[str] = Counter()
    for name, value in _SAMPLE.findall(text):
        samples[name] += float(value)  # type: ignore[assignment]
    return samples
