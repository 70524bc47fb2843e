"""Readiness: whether each service of this process makes progress, and if not, why.

Served at `/ready` beside the metrics: 200, or 503 with the reasons. A service says after each
step how it stands; one that has said nothing for a minute hangs, and is not ready either.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.metrics import ProcessMetrics

__all__ = ["Readiness"]

_SILENT_S = 60.0


class Readiness:
    """How the services of a process stand. Safe to use from several threads."""

    def __init__(
        self, metrics: ProcessMetrics, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics, self._now = metrics, now
        self._lock = threading.Lock()
        self._said: dict[str, tuple[str, float]] = {}

    def expect(self, service: str) -> None:
        """A service that has yet to take its first step."""
        self.say(service, "it is starting")
        self._metrics.ready.labels(service).set_function(lambda: float(not self._why_not(service)))

    def say(self, service: str, why_not: str) -> None:
        """A service has taken a step; `why_not` is empty when it makes progress."""
        with self._lock:
            self._said[service] = (why_not, self._now())

    def reasons(self) -> list[str]:
        """Why the process is not ready, a line a service; empty when it is."""
        with self._lock:
            services = tuple(self._said)
        why = {service: self._why_not(service) for service in services}
        return [f"{service}: {reason}" for service, reason in why.items() if reason]

    def _why_not(self, service: str) -> str:
        with self._lock:
            why_not, at = self._said[service]
        silent = self._now() - at
        if silent > _SILENT_S:
            return f"it has not taken a step for {silent:.0f} s"
        return why_not
