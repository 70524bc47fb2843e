"""The threads around the services: one a service, that calls `step` until it is told to stop.

A service that the bus or the store does not answer goes on trying, with growing pauses; any other
error ends the process, loudly: whatever supervises it starts it again, and nothing is lost.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from eventflow.errors import AlreadyRunning, BusUnreachable, Retriable, StoreUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from eventflow.readiness import Readiness

__all__ = ["Service", "hold", "serve"]

_STEP = timedelta(milliseconds=200)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_AWAY = (Retriable, BusUnreachable, StoreUnreachable)

_log = structlog.get_logger(__name__)


class Service(Protocol):
    """An object without threads that makes progress when it is called."""

    def step(self, timeout: timedelta) -> None:
        """Do what can be done now; wait up to `timeout` for something to do."""

    def drain(self) -> None:
        """Take nothing new from now on."""

    @property
    def is_drained(self) -> bool:
        """Whether nothing is going on any more."""

    @property
    def why_not_ready(self) -> str:
        """Why it makes no progress, as of the last step; empty when it does."""

    def close(self) -> None:
        """Leave in good order."""


@dataclass(slots=True)
class _Driver:
    """The thread of one service. It makes the service as well: what the service spawns lives as
    long as the thread that spawned it (a parent-death signal is sent at the end of the thread)."""

    name: str
    make: Callable[[], Service]
    grace: timedelta
    signals: _Signals
    ended: threading.Event
    readiness: Readiness
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=self.name)
        self.thread.start()

    def _run(self) -> None:
        try:
            service = self.make()
            self._drive(service)
            self._leave(service)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.error = error
        finally:
            self.ended.set()

    def _drive(self, service: Service) -> None:
        pause = _FIRST_PAUSE
        while not self.signals.stop.is_set():
            pause = self._step(service, pause, self.signals.stop)

    def _leave(self, service: Service) -> None:
        service.drain()
        pause, deadline = _FIRST_PAUSE, time.monotonic() + self.grace.total_seconds()
        hurry = self.signals.hurry
        while not (service.is_drained or hurry.is_set() or time.monotonic() > deadline):
            pause = self._step(service, pause, hurry)
        try:
            service.close()
        except _AWAY as error:
            _log.warning("service.left-without-a-word", service=self.name, error=str(error))

    def _step(self, service: Service, pause: float, until: threading.Event) -> float:
        """One step; after one that failed, a pause, and how long the next one would be."""
        try:
            service.step(_STEP)
        except _AWAY as error:
            _log.warning("service.waiting", service=self.name, error=str(error))
            self.readiness.say(self.name, str(error))
            until.wait(pause)
            return min(pause * 2, _LONGEST_PAUSE)
        self.readiness.say(self.name, service.why_not_ready)
        return _FIRST_PAUSE


@dataclass(frozen=True, slots=True)
class _Signals:
    """What the process was told: to stop, and, the second time, not to wait for the grace."""

    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)

    def take(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


def serve(
    services: Sequence[tuple[str, Callable[[], Service]]],
    *,
    grace: timedelta,
    readiness: Readiness,
) -> None:
    """Run services, each in a thread, until SIGTERM or SIGINT, or until one of them fails.

    Returns after all have left in good order; what was running has `grace` to end, or until a
    second signal.

    Raises:
        BaseException: what ended a service that failed; the others have left in good order.
    """
    signals, ended = _Signals(), threading.Event()
    drivers = [_Driver(name, make, grace, signals, ended, readiness) for name, make in services]
    with _heeding(signals, ended):
        for driver in drivers:
            readiness.expect(driver.name)
            driver.start()
        ended.wait()
        signals.stop.set()
        for driver in drivers:
            driver.thread.join()
    for driver in drivers:
        if driver.error is not None:
            raise driver.error


@contextmanager
def _heeding(signals: _Signals, ended: threading.Event) -> Iterator[None]:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        signals.take()
        ended.set()

    former = {each: signal.signal(each, on_signal) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a state folder for one `up`; the system lets go of it when the process ends.

    Raises:
        AlreadyRunning: another process holds it; the message has its pid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "up.pid"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise AlreadyRunning(
                f"eventflow is up in {folder} already: process {file.read().strip()}."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
