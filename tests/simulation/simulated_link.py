"""What one process has of a simulated cluster: requests take time, fail, and lose their answers.

What a client does without being called (sending, committing, heartbeats) goes on in the
background: as steps, each at a moment of its own. A request that is on the wire arrives, whatever
becomes of the process; everything else a client does only while its process runs.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import BusUnreachable, EventflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.simulation.simulated_cluster import Cluster
    from tests.simulation.universe import Process, Universe

__all__ = ["Link", "Moment", "SimulatedFuture", "Steps"]

_TRIP_US = (50, 2_000)
_SLOW_TRIP_US = (50_000, 8_000_000)  # as long as a session, and a little more
_FOR_EVER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """When the next step is. `is_own`: the process has to run for it."""

    after: timedelta
    is_own: bool


if TYPE_CHECKING:
    Steps = Generator[Moment, None, None]


@dataclass(eq=False)
class Link:
    """Of one process; of none, each request just takes its time and never fails."""

    universe: Universe
    cluster: Cluster
    process: Process | None
    session: timedelta
    heartbeat: timedelta
    transaction: timedelta
    patience: timedelta

    @property
    def writer(self) -> int:
        """Whose records these are: a pid, 0 of no process."""
        return 0 if self.process is None else self.process.pid

    @property
    def away(self) -> timedelta:
        """For how long no broker answers this process, none or cut off; zero when they do."""
        left = self.cluster.outage.left
        if self.process is not None:
            left = max(left, self.process.cut_off_until - self.universe.time)
        return left

    def ask(self, name: str) -> None:
        """A request is on its way; others go on meanwhile.

        Raises:
            BusUnreachable: it never arrived.
        """
        self.go(name)
        if self.happens("bus.refused"):
            self._lose(name)
        self._outlast(name)

    def answer(self, name: str, *, is_lost: bool = False) -> None:
        """Its effect took place, the answer is on its way.

        Raises:
            BusUnreachable: it got lost.
        """
        self.go(f"{name}.answered")
        if is_lost:
            self._lose(name)
        self._outlast(name)

    def go(self, name: str) -> None:
        """Time passes: the process may die or stop here."""
        if self.universe.current is None:
            self.universe.wait(self._trip(), _never)
        else:
            self.universe.effect(name)

    def happens(self, name: str) -> bool:
        """Whether a mishap of that name happens; without a process there are none."""
        return self.process is not None and self.universe.happens(name)

    def loses_answer(self) -> bool:
        """Whether the answer to this request gets lost."""
        return self.happens("bus.answer-lost")

    def wire(self) -> Moment:
        """A request is on the way, seldom for long."""
        slow = self.happens("answer.slow")
        return Moment(self._trip(_SLOW_TRIP_US if slow else _TRIP_US), is_own=False)

    def turn(self, after: timedelta | None = None) -> Moment:
        """The process comes to it."""
        return Moment(self._trip() if after is None else after, is_own=True)

    def silence(self) -> timedelta:
        """How long a client tries before it gives up."""
        return self.patience * self.universe.random.random()

    def in_background(self, steps: Steps) -> SimulatedFuture:
        """Take the steps one after another; what they raise, the future does."""
        future = SimulatedFuture(self)
        self._after(self.turn(timedelta()), steps, future)
        return future

    def _outlast(self, name: str) -> None:
        """The client asks again and again while no broker answers."""
        if self.away and not self.universe.wait(self.patience, lambda: not self.away):
            raise BusUnreachable(f"{name}: no answer")

    def _lose(self, name: str) -> None:
        self.universe.wait(self.silence(), _never)
        raise BusUnreachable(f"{name}: no answer")

    def _trip(self, range_us: tuple[int, int] = _TRIP_US) -> timedelta:
        return timedelta(microseconds=self.universe.random.randint(*range_us))

    def _after(self, moment: Moment, steps: Steps, future: SimulatedFuture) -> None:
        self.universe.later(moment.after, lambda: self._take(moment, steps, future))

    def _take(self, moment: Moment, steps: Steps, future: SimulatedFuture) -> None:
        """The next step; of a request that does not arrive, the client tries it for a while."""
        if moment.is_own and not self._is_up(lambda: self._take(moment, steps, future)):
            return
        left = timedelta() if moment.is_own else self.away
        if left > self.patience:
            self.universe.later(self.patience, lambda: self._give_up(steps, future))
        elif left:
            self._after(self.turn(left + self._trip()), steps, future)
        else:
            self._step(lambda: next(steps), steps, future)

    def _give_up(self, steps: Steps, future: SimulatedFuture) -> None:
        if self._is_up(lambda: self._give_up(steps, future)):
            error = BusUnreachable("no answer")
            self._step(lambda: steps.throw(error), steps, future)

    def _is_up(self, otherwise: Callable[[], None]) -> bool:
        """Whether the process runs; when it is stopped, the rest comes later, else never."""
        if self.process is None:
            return True
        if not self.process.is_alive:
            return False
        stopped_for = self.process.stopped_until - self.universe.time
        if stopped_for > timedelta():
            self.universe.later(stopped_for, otherwise)
        return stopped_for <= timedelta()

    def _step(self, go_on: Callable[[], Moment], steps: Steps, future: SimulatedFuture) -> None:
        try:
            following = go_on()
        except StopIteration:
            future.settle(None)
        except EventflowError as error:
            future.settle(error)
        else:
            self._after(following, steps, future)


class SimulatedFuture(Future[None]):
    """The result of steps in the background. Who waits for it stands still."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def settle(self, error: EventflowError | None) -> None:
        """It has ended."""
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)
        self._link.universe.notify()

    def result(self, timeout: float | None = None) -> None:
        """As of any future."""
        self._wait(timeout)
        super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As of any future."""
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        patience = _FOR_EVER if timeout is None else timedelta(seconds=timeout)
        self._link.universe.effect("bus.awaited")
        self._link.universe.wait(patience, self.done)
        self._link.universe.effect("bus.settled")


def _never() -> bool:
    return False
