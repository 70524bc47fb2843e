"""`TriggeredRun`: a run that was requested, from its request to its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from eventflow import requesting
from eventflow.client.run import Run
from eventflow.context import world
from eventflow.errors import TimedOut
from eventflow.model.run import RunState
from eventflow.store.runs import read_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.store.layout import RunPlace

__all__ = ["TriggeredRun"]

T = TypeVar("T")


class TriggeredRun:
    """A requested run. It is a name: each question reads the store anew."""

    def __init__(self, place: RunPlace) -> None:
        self._place = place

    @property
    def run_id(self) -> str:
        """Its id."""
        return self._place.run_id

    @property
    def pathspec(self) -> str:
        """`Flow/run`."""
        return f"{self._place.flow}/{self._place.run_id}"

    @property
    def name(self) -> str:
        """Its full name: `project/branch/Flow/run`."""
        return f"{self._place.namespace}/{self.pathspec}"

    @property
    def run(self) -> Run | None:
        """The run, for the client; None until a runner has begun it."""
        has_begun = world().store.info(self._place.run) is not None
        return Run.at(self._place) if has_begun else None

    @property
    def status(self) -> RunState:
        """`queued`, `running`, `succeeded`, `failed` or `cancelled`: equal to these words."""
        end = read_end(world().store, self._place)
        if end is not None:
            return RunState(end.outcome.value)
        return RunState.QUEUED if self.run is None else RunState.RUNNING

    @property
    def is_running(self) -> bool:
        """Whether a runner has begun it, and it has not ended."""
        return self.status is RunState.RUNNING

    def wait_for_run(self, check_interval: float = 5, timeout: float | None = None) -> Run:
        """The run, once it has begun; asked every `check_interval` seconds.

        Raises:
            TimedOut: it has not within `timeout` seconds.
        """
        return _wait(lambda: self.run, f"{self.name} did not begin", check_interval, timeout)

    def wait_for_completion(
        self, check_interval: float = 5, timeout: float | None = None
    ) -> RunState:
        """How it ended, once it has; asked every `check_interval` seconds.

        Raises:
            TimedOut: it has not within `timeout` seconds.
        """

        def ended() -> RunState | None:
            status = self.status
            return None if status in (RunState.QUEUED, RunState.RUNNING) else status

        return _wait(ended, f"{self.name} did not end", check_interval, timeout)

    def terminate(self) -> None:
        """Have it end as cancelled, unless it ends before; on return that is durable.

        While it waits for a runner it never starts. Wait for its end with `wait_for_completion`.
        """
        requesting.cancel_run(world(), self._place)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TriggeredRun):
            return NotImplemented
        return self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    def __repr__(self) -> str:
        return f"<TriggeredRun {self.name}>"


def _wait(
    ask: Callable[[], T | None], message: str, check_interval: float, timeout: float | None
) -> T:
    deadline = None if timeout is None else time.monotonic() + timeout
    while (answer := ask()) is None:
        left = check_interval if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimedOut(f"{message} within {timeout} seconds; it may still.")
        time.sleep(min(check_interval, left))
    return answer
