"""What a runner of a test is handed: fault points, a store to cut off, an executor by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from eventflow.effects import Clock
from eventflow.errors import StoreUnreachable
from eventflow.model.completion import Outcome
from eventflow.model.task import RunPlan, TaskEnd, TaskPlan
from eventflow.store.artifacts import TaskRecord, write_task
from eventflow.store.pieces import Data
from eventflow.store.port import ObjectInfo, Store
from eventflow.store.runs import place_of

__all__ = ["CanBeCut", "Crashed", "HandExecutor", "Moments"]


class Crashed(BaseException):
    """The process of a runner is gone; no handler of errors sees it."""


@dataclass
class Moments:
    """What happens at a fault point, once: the process dies, or others go on meanwhile."""

    name: str = ""
    nth: int = 1
    action: Callable[[], None] = lambda: None

    def reach(self, name: str) -> None:
        if name != self.name:
            return
        self.nth -= 1
        if self.nth == 0:
            self.name = ""
            self.action()

    def at(self, name: str, action: Callable[[], None], nth: int = 1) -> None:
        """Do something when `name` is reached for the `nth` time from now on."""
        self.name, self.nth, self.action = name, nth, action

    def die_at(self, name: str, nth: int = 1) -> None:
        def die() -> None:
            raise Crashed(name)

        self.at(name, die, nth)

    @property
    def is_past(self) -> bool:
        """Whether it has happened."""
        return not self.name


@dataclass
class CanBeCut:
    """A store whose connection the test can cut."""

    inner: Store
    is_cut: bool = False

    @property
    def url(self) -> str:
        return self.inner.url

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def get_own(self, key: str) -> memoryview:
        return self._store.get_own(key)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        for key in keys:
            yield from self._store.get_all([key])

    def put(self, key: str, data: Data) -> None:
        self._store.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._store.put_if_absent(key, data)

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        self._store.put_all(objects)

    def rely_on(self, prefix: str) -> None:
        self._store.rely_on(prefix)

    def rehearse(self) -> None:
        self._store.rehearse()

    def info(self, key: str) -> ObjectInfo | None:
        return self._store.info(key)

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        return self._store.list(prefix, folders=folders, limit=limit, after=after)

    def delete(self, keys: Sequence[str]) -> None:
        self._store.delete(keys)

    @property
    def _store(self) -> Store:
        if self.is_cut:
            raise StoreUnreachable("the store is away")
        return self.inner


class HandExecutor:
    """An executor whose tasks end when and how the test says.

    `found_at_first_start` has the keys of the store at the moment when the first task started.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.started: list[TaskPlan] = []
        self.killed: list[tuple[str, int]] = []
        self.found_at_first_start: set[str] = set()
        self._running: dict[tuple[str, str], TaskPlan] = {}
        self._ends: list[TaskEnd] = []

    def warm(self, run: RunPlan) -> None:
        pass

    def start(self, task: TaskPlan) -> None:
        if not self.started:
            self.found_at_first_start = {each.key for each in self._store.list("")}
        self.started.append(task)
        self._running[task.run.request.run_id, task.key.step] = task

    def poll(self, timeout: timedelta) -> Sequence[TaskEnd]:  # noqa: ARG002 - the port has it
        ends, self._ends = self._ends, []
        return ends

    def kill(self, run_id: str, epoch: int) -> None:
        self.killed.append((run_id, epoch))
        for key, task in tuple(self._running.items()):
            if (key[0], task.key.epoch) == (run_id, epoch):
                del self._running[key]
        self._ends = [
            each for each in self._ends if (each.run_id, each.key.epoch) != (run_id, epoch)
        ]

    def close(self) -> None:
        self._running.clear()

    def steps_of(self, run_id: str) -> list[tuple[int, str]]:
        """(epoch, step) of every task of a run that was started here."""
        return [
            (task.key.epoch, task.key.step)
            for task in self.started
            if task.run.request.run_id == run_id
        ]

    def running_steps(self, run_id: str) -> list[str]:
        return [step for each, step in self._running if each == run_id]

    def succeed(self, run_id: str, step: str) -> None:
        """A task ends well: its artifacts.json stands, then its end is reported."""
        task = self._running.pop((run_id, step))
        next_steps = task.run.graph.step(step).next_steps
        now = self._clock.now()
        record = TaskRecord(task.key, {}, next_steps, (), now, now, task.inputs)
        write_task(self._store, place_of(task.run.request), record, nonce=task.key.path)
        self._ends.append(TaskEnd(run_id, task.key, Outcome.SUCCEEDED, next_steps, "", now))

    def fail(self, run_id: str, step: str, reason: str = "ValueError: no rows") -> None:
        """A task ends badly, or dies."""
        task = self._running.pop((run_id, step))
        now = self._clock.now()
        self._ends.append(TaskEnd(run_id, task.key, Outcome.FAILED, (), reason, now))
