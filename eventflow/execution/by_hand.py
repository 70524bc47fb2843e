"""A run by hand: `python flow.py run`, without a bus (docs/protocols.md §6, last paragraph).

The same driver and the same objects in the store as of a requested run, in epoch 1. While it
runs it puts a mark of life every 10 seconds, so that a reader can tell it from one whose process
is gone. It publishes no completion and starts no other flow.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from eventflow.errors import StoreUnreachable
from eventflow.execution.cloning import clone_finished
from eventflow.execution.driver import DEFAULT_LIMITS, RunDriver
from eventflow.execution.exit_hooks import HookDriver, hooks_of
from eventflow.execution.output import OutputTail
from eventflow.model.completion import Outcome
from eventflow.store.runs import (
    EndFile,
    RunFile,
    mark_successful,
    place_of,
    write_beginning,
    write_end,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventflow.effects import Effects
    from eventflow.execution.cloning import Origin
    from eventflow.execution.driver import RunLimits
    from eventflow.execution.local import LocalExecutor
    from eventflow.model.run import TaskState
    from eventflow.model.task import RunPlan, TaskEnd, TaskKey
    from eventflow.store.port import Store

__all__ = ["FAULT_POINTS", "OnLine", "run_by_hand"]

FAULT_POINTS = (
    "by-hand.mark-put",
    "by-hand.beginning-written",
    "by-hand.end-decided",
    "by-hand.marked-successful",
)

_MARK_EVERY = timedelta(seconds=10)
_LOOK_EVERY = timedelta(milliseconds=50)
_GRACE = timedelta(seconds=5)


class OnLine(Protocol):
    """Called when an attempt has printed a line to `stdout` or `stderr`."""

    def __call__(self, key: TaskKey, stream: str, line: str, /) -> None: ...


def run_by_hand(
    plan: RunPlan,
    executor: LocalExecutor,
    store: Store,
    effects: Effects,
    *,
    on_line: OnLine,
    limits: RunLimits = DEFAULT_LIMITS,
    origin: Origin | None = None,
    on_task_state: Callable[[TaskState], None] | None = None,
) -> EndFile:
    """Execute a run to its end, and decide that end. With `origin` what that run has finished is
    taken over.

    SIGINT and SIGTERM cancel it: tasks get a SIGINT and some seconds; a second SIGINT kills them.

    Call it in the main thread. No task of the run is left when it returns or raises. All lines
    of an attempt have come before its end does.

    Raises:
        StoreUnreachable, StoreForbidden, BucketMissing: its beginning or its end cannot be
            written. A reader takes the run for failed then: its process stopped.
    """
    driver = RunDriver(plan, executor, store, effects, limits=limits, on_task_state=on_task_state)
    return _RunByHand(plan, driver, executor, store, effects, on_line).run(origin, limits)


class _RunByHand:
    def __init__(
        self,
        plan: RunPlan,
        driver: RunDriver,
        executor: LocalExecutor,
        store: Store,
        effects: Effects,
        on_line: OnLine,
    ) -> None:
        self._plan, self._driver, self._executor = plan, driver, executor
        self._store, self._effects, self._on_line = store, effects, on_line
        self._place = place_of(plan.request)
        self._tails: dict[TaskKey, OutputTail] = {}
        self._marks: list[str] = []
        self._marked_at = timedelta()

    def run(self, origin: Origin | None, limits: RunLimits) -> EndFile:
        """See `run_by_hand`."""
        request, graph = self._plan.request, self._plan.graph
        with _Interruption() as interruption:
            self._mark()  # first, so that nobody ever sees the run without one
            write_beginning(self._store, RunFile(request, graph, ""), request.causes)
            self._effects.faults.reach("by-hand.beginning-written")
            try:
                try:
                    interruption.is_held = False
                    if origin is not None:
                        clone_finished(
                            self._store,
                            origin,
                            self._place,
                            graph,
                            self._live,
                            limits.max_num_splits,
                        )
                    self._driver.begin(reuse=origin is not None)
                    self._drive(interruption)
                    interruption.is_held = True
                except KeyboardInterrupt:
                    self._driver.cancel(f"stopped at once by {interruption.name}")
                    return self._conclude()
                end = self._conclude()
                self._call_hooks(end, interruption)
                return end
            finally:
                self._executor.kill(request.run_id, self._plan.epoch)

    def _drive(self, interruption: _Interruption) -> None:
        while self._driver.end is None and not interruption.name:
            self._go_on()
        if interruption.name:
            self._stop(f"stopped by {interruption.name}")
        for tail in self._tails.values():
            tail.end()

    def _stop(self, reason: str) -> None:
        """Let tasks end by themselves for a while, as programs do on Ctrl-C."""
        self._driver.stop()
        self._executor.interrupt(self._plan.request.run_id, self._plan.epoch)
        until = self._effects.clock.elapsed() + _GRACE
        while self._driver.is_at_work and self._effects.clock.elapsed() < until:
            self._go_on()
        self._driver.cancel(reason)

    def _go_on(self) -> None:
        self._look(self._driver.task_ended)
        self._driver.tick()
        self._live()

    def _live(self) -> None:
        if self._effects.clock.elapsed() - self._marked_at >= _MARK_EVERY:
            with suppress(StoreUnreachable):  # it looks stopped until the next mark is put
                self._mark()

    def _call_hooks(self, end: EndFile, interruption: _Interruption) -> None:
        """Call the exit hooks; a further interruption ends them."""
        numbers = range(len(hooks_of(self._plan.graph, end.outcome)))
        hooks = HookDriver(self._plan, self._executor, numbers)
        interruption.name = ""
        hooks.begin()
        while not hooks.is_done and not interruption.name:
            self._look(hooks.task_ended)

    def _look(self, heed: Callable[[TaskEnd], None]) -> None:
        ends = self._executor.poll(_LOOK_EVERY)
        for key, folder in self._executor.outputs(self._plan.request.run_id):
            self._tail(key, folder).follow()
        for end in ends:
            self._tails.pop(end.key).end()
            heed(end)

    def _tail(self, key: TaskKey, folder: Path) -> OutputTail:
        if key not in self._tails:
            self._tails[key] = OutputTail(folder, partial(self._on_line, key))
        return self._tails[key]

    def _mark(self) -> None:
        self._marked_at = self._effects.clock.elapsed()
        key = self._place.alive(len(self._marks))
        self._store.put_if_absent(key, b"")
        self._marks.append(key)
        self._effects.faults.reach("by-hand.mark-put")

    def _conclude(self) -> EndFile:
        concluded = self._driver.end
        assert concluded is not None
        end = write_end(
            self._store,
            self._place,
            concluded,
            epoch=self._plan.epoch,
            at=self._effects.clock.now(),
            nonce=self._effects.ids.token(),
        )
        self._effects.faults.reach("by-hand.end-decided")
        if end.outcome is Outcome.SUCCEEDED:
            mark_successful(self._store, self._plan.request)
            self._effects.faults.reach("by-hand.marked-successful")
        self._store.delete(self._marks)
        return end


class _Interruption:
    """SIGINT or SIGTERM asks once, politely, through `name`; a second one interrupts, unless it
    `is_held`: while the beginning or the end of the run is written, it is written whole."""

    def __init__(self) -> None:
        self.name = ""
        self.is_held = True
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: object) -> None:
        if self.name and not self.is_held:
            self.is_held = True
            raise KeyboardInterrupt
        self.name = self.name or signal.Signals(number).name
