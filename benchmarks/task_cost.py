"""What one trivial task of a long linear flow costs: a process of its own, its artifacts durable.

The ceiling forks as often, and in each child writes and fsyncs as many files of the same size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.place import temporary_folder
from eventflow import app
from eventflow.context import World
from eventflow.execution.by_hand import run_by_hand
from eventflow.execution.local import LocalExecutor
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest, RunState, TaskState
from eventflow.model.task import RunPlan, TaskKey
from eventflow.settings import Settings
from eventflow.store.artifacts import load_value, read_task
from eventflow.store.runs import place_of

__all__ = ["measure"]

_STEPS = 20
_PROJECT = "bench"
_GOAL = Goal("p50", 10)
_FLOW = "Line"
_FILE = "line.py"


def measure(*, runs: int) -> Iterator[Figure]:
    """The time between the ends of two tasks, over all of so many runs but their first task."""
    ours: list[float] = []
    bare: list[float] = []
    with temporary_folder() as folder:
        (folder / "code").mkdir()
        (folder / "code" / _FILE).write_text(_source())
        world = app.connect(Settings(home=folder / "state"))
        executor = app.local_executor(world)
        try:
            _run(world, executor, folder, 0)  # its first task waits for the template
            for number in range(1, runs + 1):
                ended_at, files = _run(world, executor, folder, number)
                ours += [after - before for before, after in pairwise(ended_at)]
                bare += _forks(folder / f"bare-{number}", files)
        finally:
            executor.close()
    name = f"a task of a linear flow of {_STEPS} steps"
    peer = "fork, write and fsync as many files"
    yield Figure("task_cost", "local store", name, times_ms(ours), peer, times_ms(bare), _GOAL)


def _run(
    world: World, executor: LocalExecutor, folder: Path, number: int
) -> tuple[list[float], list[bytes]]:
    """When each task ended, and what it left in the store."""
    plan = _plan(folder / "code", number)
    ended_at: list[float] = []

    def note(state: TaskState) -> None:
        if state.state == RunState.SUCCEEDED:
            ended_at.append(time.monotonic())

    end = run_by_hand(
        plan, executor, world.store, world.effects, on_line=_ignore, on_task_state=note
    )
    pids = {_pid(world, plan, key) for key in end.manifest.values()}
    if len(pids) != _STEPS or len(ended_at) != _STEPS:
        raise RuntimeError(f"{end.outcome} ({end.reason}): {len(pids)} processes ran tasks")
    prefix = place_of(plan.request).epoch(1)
    return ended_at, [world.store.get(each.key) for each in world.store.list(prefix)]


def _pid(world: World, plan: RunPlan, key: TaskKey) -> object:
    ref = read_task(world.store, place_of(plan.request), key).artifacts["pid"]
    return load_value(world.store, _PROJECT, ref, allow_pickle=False)


def _forks(folder: Path, files: list[bytes]) -> list[float]:
    """Seconds of each of `_STEPS` children that write equal shares of the files."""
    folder.mkdir()
    share = len(files) // _STEPS
    return [
        _fork(folder, number, files[number * share : (number + 1) * share])
        for number in range(_STEPS)
    ]


def _fork(folder: Path, number: int, files: list[bytes]) -> float:
    at = time.monotonic()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for index, data in enumerate(files):
                _write(folder / f"{number}-{index}", data)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"a bare child ended with status {status}")
    return time.monotonic() - at


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _plan(code: Path, number: int) -> RunPlan:
    request = RunRequest(
        run_id=f"h{number:020d}",
        namespace=f"{_PROJECT}/prod",
        flow=_FLOW,
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
    return ["start", *(f"step_{number}" for number in range(1, _STEPS - 1)), "end"]


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
