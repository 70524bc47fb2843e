"""Tasks that take simulated time, each a process of its own; its template is simulated too.

A task does what a real one does to the world: it reads its inputs, may publish an event, and
writes its `artifacts.json` under its own epoch. It may fail, or die anywhere. The tasks of a
runner that died go on for a moment, and what they do may still land; those of a runner that is
stopped are killed by their template after the lease (docs/protocols.md §6.6), and start anew when
it polls again: who polls has its lease still.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from eventflow.errors import EventflowError, ObjectMissing
from eventflow.execution.exit_hooks import EXIT_HOOK
from eventflow.model.completion import Outcome
from eventflow.model.event import EventRecord, Publisher
from eventflow.model.graph import ExitHooks, StepKind
from eventflow.model.occurrence import JSON
from eventflow.model.task import TaskEnd
from eventflow.store.artifacts import TaskRecord, read_task, save_values, write_task
from eventflow.store.runs import place_of
from tests.simulation.simulated_store import SimulatedStore
from tests.simulation.universe import Crashed
from tests.simulation.workload import published_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventflow.bus.port import Bus
    from eventflow.codec.codec import Codec
    from eventflow.model.offset import Offset
    from eventflow.model.task import RunPlan, TaskPlan
    from tests.simulation.simulated_store import Bucket
    from tests.simulation.universe import Process, Universe

__all__ = ["SimulatedExecutor", "TaskHistory", "TaskWorld"]

_LEASE = timedelta(seconds=30)
_TICKS_A_LEASE = 10
_OVERSLEPT = timedelta(milliseconds=100)
_SHORT_MS, _LONG_MS = (2, 400), (2_000, 40_000)
_PATIENCE_MS = 300_000
_ORPHANED_MS = (0, 1_000)
_HEARD_MS = (0, 20)


@dataclass(slots=True)
class TaskHistory:
    """A task process that began, at `stamp`. `runner` is the pid of its runner.

    `fate`: `done` (its artifacts stand), `failed` (of an error of the class `why`), `died`,
    `killed`; `open` while it runs; `silenced`, however it ended, when it was killed because its
    runner was silent. It ended at the stamp `until`. `hook` is the exit hook that it called.
    """

    stamp: int
    plan: TaskPlan
    runner: int
    ended: str = "open"
    is_silenced: bool = False
    why: str = ""
    until: int = 0
    hook: str = ""

    @property
    def fate(self) -> str:
        """How it ended, in one word."""
        return "silenced" if self.is_silenced else self.ended


@dataclass(frozen=True)
class TaskWorld:
    """What task processes are connected to, and where is written down what becomes of them.

    `oddities` has what no task should ever meet.
    """

    universe: Universe
    bucket: Bucket
    connect: Callable[[], Bus]
    codec: Codec
    history: list[TaskHistory]
    oddities: list[str]


@dataclass(frozen=True, slots=True)
class _Said:
    """Where a task that succeeded goes on."""

    next_steps: tuple[str, ...]
    splits: int


class UserCodeFailed(Exception):
    """What the user's code raised."""


class SimulatedExecutor:
    """The executor of one runner process."""

    def __init__(self, world: TaskWorld, runner: Process) -> None:
        self._world, self._universe, self._runner = world, world.universe, runner
        self._running: dict[int, TaskHistory] = {}
        self._ends: list[TaskEnd] = []
        self._silenced: list[TaskPlan] = []
        self._ticked_at = self._universe.time
        self._is_watched = False

    def warm(self, run: RunPlan) -> None:
        """Nothing to do: what a template costs is no matter here."""

    def start(self, task: TaskPlan) -> None:
        history = TaskHistory(self._universe.stamp(), task, self._runner.pid)
        self._world.history.append(history)
        name = f"{self._runner.name}/{task.run.request.run_id[:6]}/{task.key.path}"
        process = self._universe.spawn(
            name,
            lambda process: self._work(history, process),
            lambda process, died_of: self._ended(history, process, died_of),
        )
        self._running[process.pid] = history
        self._watch()

    def poll(self, timeout: timedelta) -> Sequence[TaskEnd]:
        """A loaded machine oversleeps: a task that ends wakes it, and little else does."""
        self._tick()
        silenced, self._silenced = self._silenced, []
        for plan in silenced:
            self.start(plan)
        if timeout:
            self._universe.wait(max(timeout, _OVERSLEPT), lambda: bool(self._ends))
        self._tick()
        ends, self._ends = self._ends, []
        return ends

    def kill(self, run_id: str, epoch: int) -> None:
        unwanted = {
            pid: history
            for pid, history in self._running.items()
            if _execution(history.plan) == (run_id, epoch)
        }
        self._kill(unwanted, _HEARD_MS)
        self._silenced = [each for each in self._silenced if _execution(each) != (run_id, epoch)]
        self._ends = [
            each for each in self._ends if (each.run_id, each.key.epoch) != (run_id, epoch)
        ]

    def close(self) -> None:
        self._kill(dict(self._running), _HEARD_MS)
        self._silenced.clear()
        self._ends.clear()

    def orphan(self) -> None:
        """The runner is dead: its tasks are, in a moment."""
        self._kill(dict(self._running), _ORPHANED_MS)

    def _kill(self, unwanted: dict[int, TaskHistory], within_ms: tuple[int, int]) -> None:
        """Kill without a word to the runner; the signal takes its time."""
        for pid in unwanted:
            del self._running[pid]
            process = self._universe.processes[pid]
            after = timedelta(milliseconds=self._universe.random.randint(*within_ms))
            self._universe.later(after, partial(self._universe.kill, process))

    # -- the template ----------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._universe.time - self._ticked_at >= _LEASE / _TICKS_A_LEASE:
            self._ticked_at = self._universe.time

    def _watch(self) -> None:
        if self._is_watched:
            return
        self._is_watched = True
        self._ticked_at = self._universe.time
        self._universe.later(_LEASE, self._mind_the_time)

    def _mind_the_time(self) -> None:
        self._is_watched = False
        if not self._running:
            return
        silent = self._universe.time - self._ticked_at
        if silent < _LEASE:
            self._is_watched = True
            self._universe.later(_LEASE - silent, self._mind_the_time)
            return
        for history in self._running.values():
            history.is_silenced = True
            self._silenced.append(history.plan)
        self._kill(dict(self._running), _HEARD_MS)

    def _ended(self, history: TaskHistory, process: Process, died_of: BaseException | None) -> None:
        is_wanted = self._running.pop(process.pid, None) is not None
        history.until = history.until or self._universe.stamp()
        if died_of is not None:
            history.ended = "died" if is_wanted else "killed"
            if not isinstance(died_of, Crashed):
                self._world.oddities.append(f"{process.name} raised {died_of!r}")
            if is_wanted:
                self._bury(history)

    def _bury(self, history: TaskHistory) -> None:
        """It may have got to its end before it died."""
        plan = history.plan
        standing = self._world.bucket.objects.get(place_of(plan.run.request).artifacts(plan.key))
        if standing is not None:
            said = json.loads(standing.data)
            self._tell(history, _Said(tuple(said["next_steps"]), said["splits"]))
        else:
            self._tell(history, "its process was killed by SIGKILL")

    def _tell(self, history: TaskHistory, said: _Said | str) -> None:
        """What a task that succeeded said, or why it failed."""
        run_id, key = history.plan.run.request.run_id, history.plan.key
        now = self._runner.clock.now()
        if isinstance(said, str):
            end = TaskEnd(run_id, key, Outcome.FAILED, (), said, now)
        else:
            end = TaskEnd(run_id, key, Outcome.SUCCEEDED, said.next_steps, "", now, said.splits)
        self._ends.append(end)
        self._universe.notify()

    # -- the task process ------------------------------------------------------------------------

    def _work(self, history: TaskHistory, process: Process) -> None:
        try:
            said = self._attempt(history, process)
        except (EventflowError, UserCodeFailed) as error:
            history.ended, history.why = "failed", type(error).__name__
            history.until = self._universe.stamp()
            self._report(history, process, str(error))
        else:
            history.ended, history.until = "done", self._universe.stamp()
            self._report(history, process, said)

    def _report(self, history: TaskHistory, process: Process, said: _Said | str) -> None:
        if process.pid in self._running:
            self._tell(history, said)

    def _attempt(self, history: TaskHistory, process: Process) -> _Said:
        """What a task process does; where it goes on."""
        universe, plan = self._universe, history.plan
        store, began = SimulatedStore(universe, self._world.bucket), process.clock.now()
        place = place_of(plan.run.request)
        self._read_inputs(plan, store)
        published: tuple[Offset, ...] = ()
        if plan.key.step == EXIT_HOOK:
            history.hook = self._hook(plan, store)
            self._compute(_PATIENCE_MS)
        elif not plan.failure:  # otherwise only the failure is recorded
            self._compute()
            published = self._publish(plan, process)
        if not plan.failure and universe.happens("task.fails"):
            raise UserCodeFailed("ValueError: no rows")
        values = save_values(store, plan.run.project, {"epoch": plan.key.epoch})
        node = plan.run.graph.step(plan.key.step)
        # Another attempt may find other items.
        splits = universe.random.randint(1, 3) if node.kind is StepKind.FOREACH else 0
        record = TaskRecord(
            key=plan.key,
            artifacts=values,
            next_steps=node.next_steps,
            published=published,
            started_at=began,
            finished_at=process.clock.now(),
            inputs=plan.inputs,
            splits=splits,
            items=plan.items,
        )
        nonce = f"{plan.key.path}-{process.pid}"
        standing = write_task(store, place, record, nonce=nonce).content
        return _Said(tuple(standing["next_steps"]), standing["splits"])

    def _read_inputs(self, plan: TaskPlan, store: SimulatedStore) -> None:
        for each in plan.inputs:
            try:
                read_task(store, place_of(plan.run.request), each)
            except ObjectMissing as error:
                self._world.oddities.append(f"a task began without what leads to it: {error}")
                raise

    def _hook(self, plan: TaskPlan, store: SimulatedStore) -> str:
        """The function that an exit hook's task calls: its number among those of the outcome."""
        content = json.loads(store.get(place_of(plan.run.request).end))
        hooks = plan.run.graph.exit_hooks or ExitHooks()
        succeeded = content["outcome"] == "succeeded"
        return (hooks.on_success if succeeded else hooks.on_error)[int(plan.key.task)]

    def _compute(self, patience_ms: int = 0) -> None:
        """With `patience_ms`, code that is long may never end, and is killed after that time."""
        universe = self._universe
        is_long = universe.happens("task.is-long")
        span = _LONG_MS if is_long else _SHORT_MS
        if is_long and patience_ms:
            span = (span[0], 2 * patience_ms)
        takes_ms = universe.random.randint(*span)
        lasts = timedelta(milliseconds=min(takes_ms, patience_ms or takes_ms))
        universe.wait(lasts, lambda: False)
        if patience_ms and takes_ms > patience_ms:
            raise UserCodeFailed("its time is over")
        if universe.happens("task.dies"):
            raise Crashed("task.dies")

    def _publish(self, plan: TaskPlan, process: Process) -> tuple[Offset, ...]:
        name = published_by(plan.run.graph.step(plan.key.step))
        if name is None:
            return ()
        bus = self._world.connect()
        record = self._world.codec.new_record(_event(name, plan, process))
        offsets = tuple(bus.publish([record]))
        bus.close()
        return offsets


def _execution(plan: TaskPlan) -> tuple[str, int]:
    return plan.run.request.run_id, plan.key.epoch


def _event(name: str, plan: TaskPlan, process: Process) -> EventRecord:
    """As `eventflow.Event` makes it in a task: each attempt and epoch gives it the same id."""
    request, key = plan.run.request, plan.key
    place = f"{request.run_id}/{key.step}/{key.task}"
    return EventRecord(
        id=f"{place}/0",
        id_set=True,
        name=name,
        namespace=request.namespace,
        payload=json.dumps({"epoch": key.epoch}).encode(),
        content_type=JSON,
        published_at=process.clock.now(),
        source=f"{request.namespace}/{request.flow}/{place}",
        publisher=Publisher(
            request.namespace, request.flow, request.run_id, key.step, key.task, number=0
        ),
        roots=request.roots,
        hops=request.hops,
    )
