"""A long linear flow of trivial tasks, run by hand in this process: what each task costs.

Each task keeps its pid, and a run in which two tasks shared a process is an error.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from eventflow import app
from eventflow.context import World
from eventflow.execution.by_hand import run_by_hand
from eventflow.execution.local import LocalExecutor
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest, RunState, TaskState
from eventflow.model.task import RunPlan, TaskKey
from eventflow.settings import Settings
from eventflow.store.artifacts import load_value, read_task
from eventflow.store.layout import RunPlace
from eventflow.store.runs import place_of

__all__ = ["STEPS", "Line", "lines"]

STEPS = 20
_PROJECT = "bench"
_FLOW = "Line"
_FILE = "line.py"


@contextmanager
def lines(folder: Path, settings: Settings) -> Iterator[Line]:
    """What runs the flow, with its template warm; `folder` gets its code."""
    (folder / "code").mkdir()
    (folder / "code" / _FILE).write_text(_source())
    world = app.connect(settings)
    executor = app.local_executor(world)
    try:
        line = Line(world, executor, folder / "code")
        line.run(0)  # its first task waits for the template
        yield line
    finally:
        executor.close()
        world.close()


@dataclass(frozen=True, slots=True)
class Line:
    """Runs the flow, again and again."""

    world: World
    executor: LocalExecutor
    code: Path

    def run(self, number: int) -> list[float]:
        """Seconds between the ends of each two tasks of run `number`."""
        plan = _plan(self.code, number)
        ended_at: list[float] = []

        def note(state: TaskState) -> None:
            if state.state == RunState.SUCCEEDED:
                ended_at.append(time.monotonic())

        store, effects = self.world.store, self.world.effects
        end = run_by_hand(plan, self.executor, store, effects, on_line=_ignore, on_task_state=note)
        pids = {self._pid(plan, key) for key in end.manifest.values()}
        if len(pids) != STEPS or len(ended_at) != STEPS:
            raise RuntimeError(f"{end.outcome} ({end.reason}): {len(pids)} processes ran tasks")
        return [after - before for before, after in pairwise(ended_at)]

    def left(self, number: int) -> list[bytes]:
        """The objects that the tasks of run `number` left."""
        prefix = _place(number).epoch(1)
        return [self.world.store.get(each.key) for each in self.world.store.list(prefix)]

    def _pid(self, plan: RunPlan, key: TaskKey) -> object:
        store = self.world.store
        ref = read_task(store, place_of(plan.request), key).artifacts["pid"]
        return load_value(store, _PROJECT, ref, allow_pickle=False)


def _place(number: int) -> RunPlace:
    return RunPlace(f"{_PROJECT}/prod", _FLOW, f"h{number:020d}")


def _plan(code: Path, number: int) -> RunPlan:
    place = _place(number)
    request = RunRequest(
        run_id=place.run_id,
        namespace=place.namespace,
        flow=place.flow,
        version=0,
        parameters={},
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=datetime.now(UTC),
    )
    return RunPlan(request, _graph(), str(code), _FILE, epoch=1)


def _names() -> list[str]:
    return ["start", *(f"step_{number}" for number in range(1, STEPS - 1)), "end"]


def _graph() -> FlowGraph:
    names = _names()
    nodes = [
        StepNode(name, StepKind.LINEAR, (after,), is_join=False, line=1)
        for name, after in pairwise(names)
    ]
    nodes.append(StepNode("end", StepKind.END, (), is_join=False, line=1))
    return FlowGraph(_FLOW, _FILE, "", tuple(nodes))


def _source() -> str:
    names = _names()
    lines = ["import os", "from eventflow import FlowSpec, step", f"class {_FLOW}(FlowSpec):"]
    for name, after in zip(names, [*names[1:], ""], strict=True):
        lines += ["    @step", f"    def {name}(self):", "        self.pid = os.getpid()"]
        lines += [f"        self.next(self.{after})"] if after else []
    return "\n".join(lines) + "\n"


def _ignore(*_: object) -> None:
    """What the tasks print: nothing."""
