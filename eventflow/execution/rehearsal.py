"""An attempt that leaves nothing, played before the real ones.

A fork shares the memory of its template until one of them writes to it, and in CPython reading
is writing: of reference counts, of the caches of types and of bytecode. Each page written to is
copied, one by one, which is most of what a small task costs. So the template plays before its
first fork, that the caches are written to where all have them; and a fork that has nothing to do
yet plays too, that its copies are made before its attempt comes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.step import step
from eventflow.effects import NoFaults
from eventflow.errors import ObjectMissing
from eventflow.execution.loading import Loaded
from eventflow.execution.messages import Messages, Report, Start
from eventflow.execution.task import Attempt
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest
from eventflow.model.task import RunPlan, TaskKey, TaskPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.context import World
    from eventflow.store.pieces import Data
    from eventflow.store.port import Store

__all__ = ["Rehearsal"]

_NOWHERE = "/nonexistent"
# CPython adapts the bytecode of a function to what it sees in it within so many calls.
_UNTIL_WARM = 16


class Rehearsed(FlowSpec):
    """Three steps, of which the second is played."""

    @step
    def start(self) -> None:
        """Something for the next step to read."""
        self.read = ["text", 1]
        self.next(self.middle)

    @step
    def middle(self) -> None:
        """Reads and writes."""
        self.written = {"at": self.read[1], "text": "text"}
        self.next(self.end)

    @step
    def end(self) -> None:
        """Nothing."""


class Rehearsal:
    """What to play in one template and in its forks."""

    def __init__(self, world: World) -> None:
        """Its attempts use what `world` has, of its store what is for that, and reach no fault
        point."""
        effects = replace(world.effects, faults=NoFaults())
        makers = replace(world.makers, store=lambda _: cast("Store", _Nowhere()))
        self._world = replace(world, effects=effects, makers=makers)
        self._store = world.store
        self._loaded = Loaded(Path(_NOWHERE), sys.modules[__name__], None)
        self._run = _run()
        first = TaskKey(1, "start")
        self._before = TaskPlan(self._run, first, ())
        self._task = TaskPlan(self._run, TaskKey(1, "middle"), (first,))

    def prepare(self) -> None:
        """Play until nothing changes any more."""
        self._play(self._before)
        for _ in range(_UNTIL_WARM):
            self.play()

    def play(self) -> Report | None:
        """One attempt, from the message that starts it to the one that reports it; its report.
        None when it cannot be played: what is wrong here is for the real attempts to say."""
        return self._play(self._task)

    def _play(self, task: TaskPlan) -> Report | None:
        try:
            return self._attempt(task)
        except Exception:  # noqa: BLE001 - as said
            return None

    def _attempt(self, task: TaskPlan) -> Report:
        self._store.rehearse()
        packed = Start.of(0, task, _NOWHERE, b"").to_message(with_run=False)
        ((message, body),) = Messages().feed(packed)
        start = Start.from_message(message, body)
        report = Attempt(start.plan(self._run), self._world, start.folder).run(self._loaded)
        report.to_message()
        return report


class _Nowhere:
    """A store in memory that keeps what an attempt puts last."""

    url = "nowhere:"

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def get(self, key: str) -> bytes:
        if key not in self._objects:
            raise ObjectMissing(key)
        return self._objects[key]

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._objects[key] = data
        return True

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        for _ in objects:
            pass

    def rely_on(self, prefix: str) -> None:
        pass


def _run() -> RunPlan:
    request = RunRequest(
        run_id="rehearsal",
        namespace="eventflow/rehearsal",
        flow=Rehearsed.__name__,
        version=0,
        parameters={},
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=datetime.now(UTC),
    )
    nodes = (
        StepNode("start", StepKind.LINEAR, ("middle",), is_join=False, line=1),
        StepNode("middle", StepKind.LINEAR, ("end",), is_join=False, line=1),
        StepNode("end", StepKind.END, (), is_join=False, line=1),
    )
    graph = FlowGraph(request.flow, Path(__file__).name, "", nodes)
    return RunPlan(request, graph, _NOWHERE, Path(__file__).name, epoch=1)
