"""What a service is handed instead of reaching for it: clock, ids, randomness, fault points.

Nothing outside this module (and the command line, which only prints) reads a clock or makes up
an id, so that the same objects run under a simulated world, deterministic by seed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = [
    "Clock",
    "Effects",
    "Faults",
    "Ids",
    "KillAt",
    "NoFaults",
    "StopAt",
    "SystemClock",
    "SystemIds",
    "planted",
]

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_UNDER_WAY_S = 0.25


class Clock(Protocol):
    """Two clocks: one that people read, one that never jumps."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. It may jump; never measure a duration with it."""

    def elapsed(self) -> timedelta:
        """Time since a fixed moment, counting while the machine sleeps (CLOCK_BOOTTIME)."""


class Ids(Protocol):
    """Makes names that nobody else makes."""

    def token(self, length: int = 20) -> str:
        """`length` characters of lower-case base32, unpredictable; 20 of them are 100 bits."""


class Faults(Protocol):
    """Named places between two effects, at which a test can end or stop the process."""

    def reach(self, name: str) -> None:
        """Called at the place `name`. Returns at once in production."""


class SystemClock:
    """The clocks of this machine."""

    _BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> timedelta:
        return timedelta(seconds=time.clock_gettime(self._BOOT))


class SystemIds:
    """Ids from the operating system's randomness; the same in no two processes, forks included."""

    def token(self, length: int = 20) -> str:
        # One question to the system for all of it, not one a character: every task asks.
        return "".join(_BASE32[byte % 32] for byte in os.urandom(length))


class NoFaults:
    """No fault is planted: `reach` does nothing."""

    def reach(self, name: str) -> None:
        """Do nothing."""


@dataclass(slots=True)
class KillAt:
    """SIGKILL this process when it reaches `name` for the `nth` time (EVENTFLOW_FAULT=name:nth)."""

    name: str
    nth: int = 1
    seen: int = 0

    def reach(self, name: str) -> None:
        if name != self.name:
            return
        self.seen += 1
        if self.seen == self.nth:
            self.strike()

    def strike(self) -> None:
        """It is there."""
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(slots=True)
class StopAt(KillAt):
    """SIGSTOP it instead, as a zombie to be (EVENTFLOW_FAULT=name:nth:stop).

    A moment later, so that what other threads were handed is under way: the records of an open
    transaction are at the broker then.
    """

    def strike(self) -> None:
        time.sleep(_UNDER_WAY_S)
        os.kill(os.getpid(), signal.SIGSTOP)


def planted(text: str) -> Faults:
    """The fault that `name`, `name:nth` or `name:nth:stop` plants."""
    name, _, rest = text.partition(":")
    nth, _, how = rest.partition(":")
    return (StopAt if how == "stop" else KillAt)(name, int(nth or 1))


@dataclass(frozen=True, slots=True)
class Effects:
    """The handed-in world of a service. The defaults are the real ones."""

    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=SystemIds)
    faults: Faults = field(default_factory=NoFaults)
    random: random.Random = field(default_factory=random.Random)
