"""The threads around the services: how they stop, and what ends them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from eventflow.errors import BusUnreachable
from eventflow.metrics import ProcessMetrics
from eventflow.readiness import Readiness
from eventflow.serving import serve

_LONG = timedelta(seconds=60)


@dataclass
class Counting:
    """A service that says what was asked of it, and sends its process a signal as it goes."""

    signals: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    steps: int = 0
    drains_after: int = 1_000_000
    is_draining: bool = False
    is_closed: bool = False

    def step(self, timeout: timedelta) -> None:  # noqa: ARG002 - the protocol has it
        self.steps += 1
        if self.signals and (self.is_draining or len(self.signals) == 2):
            os.kill(os.getpid(), self.signals.pop(0))
        if self.is_draining and self.errors:
            raise self.errors.pop()

    def drain(self) -> None:
        self.is_draining, self.steps = True, 0

    @property
    def is_drained(self) -> bool:
        return self.steps >= self.drains_after

    @property
    def why_not_ready(self) -> str:
        return ""

    def close(self) -> None:
        self.is_closed = True


def _readiness() -> Readiness:
    return Readiness(ProcessMetrics(CollectorRegistry()))


def test_a_service_that_fails_ends_the_others_in_good_order_and_is_heard_of() -> None:
    other = Counting(drains_after=0)

    def broken() -> Counting:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        serve([("broken", broken), ("other", lambda: other)], grace=_LONG, readiness=_readiness())

    assert other.is_closed


def test_a_second_signal_ends_the_grace() -> None:
    service = Counting(signals=[signal.SIGINT, signal.SIGTERM])

    serve([("counting", lambda: service)], grace=_LONG, readiness=_readiness())

    assert service.is_draining
    assert service.is_closed


def test_a_server_that_is_away_in_the_grace_keeps_no_service_from_leaving() -> None:
    away = BusUnreachable("the bus is away")
    service = Counting([signal.SIGTERM, 0], [away], drains_after=3)

    serve([("counting", lambda: service)], grace=_LONG, readiness=_readiness())

    assert service.steps == 3
    assert service.is_closed
