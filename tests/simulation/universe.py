"""Processes, time and chance of a simulation: one thread, deterministic by seed.

A process is a greenlet. It stands still at every effect (whatever another process could see, or
a crash could separate from what follows), and others go on meanwhile. At an effect it may die,
or be stopped for longer than any session or lease, as by SIGSTOP. Nothing runs in between: the
universe is one queue of processes, ordered by the time at which each goes on.

Parts (bus, store, executor) call `effect` before and after what they do, and `wait` where they
wait. Called from no process (a test, the checker), neither stands still: `wait` lets the time
pass, so that the parts work without a simulation too.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet

from tests.simulation.happenings import Happenings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.happenings import Happening

__all__ = ["Crashed", "Process", "SimulatedClock", "SimulatedIds", "Universe"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_INSTANT = timedelta(microseconds=1)
_QUICK_US = (50, 2_000)
_SLOW_US = (50_000, 3_000_000)
_STOPPED_MS = (500, 60_000)
_JUMP_SECONDS = (-7_200, 7_200)


class Crashed(BaseException):
    """The process is gone; no handler of errors sees it."""


@dataclass
class SimulatedClock:
    """The clocks of one host. Its wall clock may jump; the other never does."""

    universe: Universe
    jumped: timedelta = timedelta()

    def now(self) -> datetime:
        return _EPOCH + self.universe.time + self.jumped

    def elapsed(self) -> timedelta:
        return self.universe.time


@dataclass
class SimulatedIds:
    """Ids by the seed."""

    random: random.Random

    def token(self, length: int = 20) -> str:
        return "".join(self.random.choices(_BASE32, k=length))


@dataclass(eq=False)
class Process:
    """One incarnation of a process; after a crash there is another object. `pid` is unique.

    `stopped_until`: it does nothing before, and its background threads (heartbeats of a group)
    neither. `cut_off_until`: the brokers do not answer it before. `on_end` is called when it is
    gone, with what it died of; None after a normal end.
    """

    name: str
    pid: int
    clock: SimulatedClock
    on_end: Callable[[Process, BaseException | None], None]
    is_alive: bool = True
    stopped_until: timedelta = timedelta()
    cut_off_until: timedelta = timedelta()
    _ticket: int = 0
    _ready: Callable[[], bool] | None = None
    _greenlet: greenlet | None = None
    _is_doomed: bool = False


@dataclass(frozen=True, slots=True)
class _Timer:
    """What happens at a time without any process."""

    action: Callable[[], None]


@dataclass
class Universe:
    """All of it. `trace` has (time, process, effect), for the message of a failure; `processes`
    has every process that there ever was, by its pid; `effects` counts."""

    seed: int
    happenings: Happenings
    time: timedelta = timedelta(hours=1)
    trace: list[tuple[timedelta, str, str]] = field(default_factory=list)
    keeps_trace: bool = False
    random: random.Random = field(init=False)
    processes: dict[int, Process] = field(default_factory=dict)
    effects: int = 0
    _queue: list[tuple[timedelta, int, Process | _Timer]] = field(default_factory=list)
    _waiting: list[Process] = field(default_factory=list)
    _count: int = 0
    _stamps: count[int] = field(default_factory=lambda: count(1))
    _pids: int = 1000
    _current: Process | None = None
    _hub: greenlet = field(default_factory=getcurrent)

    @classmethod
    def by(cls, seed: int, rates: dict[str, float], told: frozenset[Happening] | None) -> Universe:
        """A universe whose order of things and whose mishaps come from one seed, independently,
        so that leaving a mishap out changes nothing before it."""
        return cls(seed, Happenings(random.Random(f"{seed}/happenings"), rates, told))

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed}/order")

    # -- for parts and services ------------------------------------------------------------------

    @property
    def current(self) -> Process | None:
        """The process that runs now; None outside of any."""
        return self._current

    @property
    def now(self) -> datetime:
        """The wall clock of the servers: broker and store. It never jumps."""
        return _EPOCH + self.time

    def happens(self, name: str) -> bool:
        """Whether a mishap of that name happens here and now."""
        is_so = self.happenings.happens(name)
        if is_so and self.keeps_trace:
            self.tell(f"! {name}")
        return is_so

    def tell(self, what: str) -> None:
        """Add a line to the trace, when one is kept."""
        if self.keeps_trace:
            by = self._current.name if self._current is not None else ""
            self.trace.append((self.time, by, what))

    def stamp(self) -> int:
        """The next number of the one order in which things become visible, here or there: of
        two writes, to bus, store or elsewhere, the earlier one has the smaller."""
        return next(self._stamps)

    def reach(self, name: str) -> None:
        """A fault point of `eventflow.effects` is an effect like any other."""
        self.effect(name)

    def effect(self, name: str) -> None:
        """A place between two effects: others go on; the process may die here, or stop.

        Raises:
            Crashed: it died.
        """
        process = self._current
        if process is None:
            return
        if process._is_doomed:
            raise Crashed(name)  # what a dying process still tries has no effect
        self.effects += 1
        self.tell(name)
        if self.happens("process.dies"):
            process._is_doomed = True
            raise Crashed(name)
        if self.happens("process.stops"):
            self.stop(process, timedelta(milliseconds=self.random.randint(*_STOPPED_MS)))
        if self.happens("clock.jumps"):
            process.clock.jumped += timedelta(seconds=self.random.randint(*_JUMP_SECONDS))
        self._stand_still(process, self._for_a_while(is_slow=self.happens("answer.slow")))

    def wait(self, timeout: timedelta, ready: Callable[[], bool]) -> bool:
        """Stand still until it is so, or the time is over; whether it is so.

        Raises:
            Crashed: the process died.
        """
        process = self._current
        if process is None:
            return self.run(ready, self.time + max(timeout, _INSTANT))
        if process._is_doomed:
            raise Crashed("waits no more")
        until = self.time + timeout
        while not ready():
            left = until - self.time
            if left <= timedelta():
                return False
            process._ready = ready
            self._waiting.append(process)
            self._stand_still(process, left)
        return True

    def notify(self) -> None:
        """Something was written: who waits for it goes on soon."""
        for process in tuple(self._waiting):
            if process._ready is not None and process._ready():
                self._waiting.remove(process)
                process._ready = None
                self._schedule(process, self._for_a_while())

    # -- processes -------------------------------------------------------------------------------

    def spawn(
        self,
        name: str,
        main: Callable[[Process], None],
        on_end: Callable[[Process, BaseException | None], None],
        clock: SimulatedClock | None = None,
    ) -> Process:
        """A new process that begins soon."""
        self._pids += 1
        process = Process(name, self._pids, clock or SimulatedClock(self), on_end)
        process._greenlet = greenlet(lambda: self._live(process, main), parent=self._hub)
        self.processes[process.pid] = process
        self._schedule(process, self._for_a_while())
        return process

    def stop(self, process: Process, duration: timedelta) -> None:
        """SIGSTOP, and SIGCONT after the duration."""
        process.stopped_until = max(process.stopped_until, self.time + duration)
        self._schedule(process, timedelta())

    def go_on(self, process: Process) -> None:
        """SIGCONT: whatever stopped it is over."""
        if process.stopped_until > self.time:
            process.stopped_until = self.time
            self._schedule(process, timedelta())

    def kill(self, process: Process) -> None:
        """SIGKILL, from outside: it dies where it stands, before it does anything more."""
        process._is_doomed = True
        self._schedule(process, timedelta())

    def later(self, after: timedelta, action: Callable[[], None]) -> None:
        """Do something at a later time, outside of any process; it must not stand still."""
        self._push(self.time + after, _Timer(action))

    def end(self) -> None:
        """Kill all that is left. What is asked of a universe that has ended has no effect."""
        self._queue = [each for each in self._queue if isinstance(each[2], Process)]
        for process in tuple(self.processes.values()):
            if process.is_alive:
                self.kill(process)
        self.run(lambda: False, self.time)

    def run(self, is_over: Callable[[], bool], until: timedelta) -> bool:
        """Let processes go on until `is_over`, or that time; whether it is over. For no process,
        and no timer."""
        assert self._current is None, "a process waits, it does not run the others"
        while not is_over():
            if not self._queue or self._queue[0][0] > until:
                self.time = max(self.time, until)
                return is_over()
            at, ticket, what = heapq.heappop(self._queue)
            if isinstance(what, _Timer):
                self.time = max(self.time, at)
                what.action()
            elif what.is_alive and ticket == what._ticket:  # else it was scheduled anew since
                self.time = max(self.time, at)
                self._go_on(what)
        return True

    def _for_a_while(self, *, is_slow: bool = False) -> timedelta:
        least, most = _SLOW_US if is_slow else _QUICK_US
        return timedelta(microseconds=int(least + (most - least) * self.random.random()))

    def _live(self, process: Process, main: Callable[[Process], None]) -> None:
        died_of: BaseException | None = None
        try:
            self.effect("process.begins")
            main(process)
        except BaseException as error:  # noqa: BLE001 - a dead process takes nobody with it
            died_of = error
        process.is_alive = False
        process.on_end(process, died_of)

    def _go_on(self, process: Process) -> None:
        assert process._greenlet is not None
        self._current = process
        try:
            process._greenlet.switch()
        finally:
            self._current = None

    def _stand_still(self, process: Process, duration: timedelta) -> None:
        self._schedule(process, duration)
        self._current = None
        self._hub.switch()
        if process in self._waiting:
            self._waiting.remove(process)
        process._ready = None
        if process._is_doomed:
            raise Crashed("killed")

    def _schedule(self, process: Process, after: timedelta) -> None:
        """Only the last time that was said counts; not before a stop is over."""
        at = self.time + after
        if not process._is_doomed:
            at = max(at, process.stopped_until)
        process._ticket = self._push(at, process)

    def _push(self, at: timedelta, what: Process | _Timer) -> int:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, what))
        return self._count
