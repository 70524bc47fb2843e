"""Flows for tests of their execution: written to a folder, planned, run, looked at afterwards."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from eventflow import app
from eventflow.context import World
from eventflow.execution.local import LocalExecutor
from eventflow.execution.port import Executor
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest
from eventflow.model.task import RunPlan, TaskEnd, TaskKey, TaskPlan
from eventflow.settings import Settings, StoreSettings
from eventflow.store.artifacts import load_value, read_task
from eventflow.store.runs import place_of
from tests.support.eventually import eventually

__all__ = ["Flows", "diamond", "is_running", "line", "one_step", "run_out"]

HEADER = """
import os, random, signal, subprocess, sys, threading, time
from pathlib import Path

from eventflow import FlowSpec, Parameter, step

"""
# The beginning of a flow whose steps note that they ran: `Flows.ran` reads it.
NOTING = (
    HEADER
    + """
class F(FlowSpec):
    folder = Parameter("folder")

    def note(self, name):
        with open(Path(self.folder, "ran"), "a") as file:
            file.write(name + "\\n")
"""
)


def line(*names: str, flow: str = "F", file: str = "flow.py") -> FlowGraph:
    """Steps one after the other."""
    after = (*names[1:], "")
    return FlowGraph(
        flow,
        file,
        "",
        tuple(
            _node(name, *([following] if following else []))
            for name, following in zip(names, after, strict=True)
        ),
    )


def diamond(flow: str = "F", file: str = "flow.py") -> FlowGraph:
    """A split into `left` and `right`, and their `join`."""
    nodes = (
        _node("start", "left", "right"),
        _node("left", "join"),
        _node("right", "join"),
        replace(_node("join", "end"), is_join=True),
        _node("end"),
    )
    return FlowGraph(flow, file, "", nodes)


def one_step(body: str, *, module: str = "") -> str:
    """The source of a flow whose first step does this; it has a parameter `folder`."""
    return (
        HEADER
        + textwrap.dedent(module)
        + "\nclass F(FlowSpec):\n"
        + "    folder = Parameter('folder')\n\n"
        + "    @step\n    def start(self):\n"
        + textwrap.indent(textwrap.dedent(body).strip("\n"), " " * 8)
        + "\n        self.next(self.end)\n\n    @step\n    def end(self):\n        pass\n"
    )


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass
class Flows:
    """A state folder with a store, and what runs on it."""

    home: Path
    store: StoreSettings = field(default_factory=StoreSettings)
    executors: list[LocalExecutor] = field(default_factory=list)
    runs: int = 0

    @property
    def folder(self) -> Path:
        """Where steps leave things for the test; the value of the parameter `folder`."""
        return self._made("left-behind")

    def world(self, **settings: Any) -> World:
        """The embedded world in the state folder."""
        self._made("store")
        return app.connect(Settings(home=self.home, store=self.store, **settings))

    def executor(
        self, lease: timedelta = timedelta(seconds=30), templates: int = 8
    ) -> LocalExecutor:
        """A local executor, closed at the end of the test."""
        runner = {"lease": lease, "templates": templates}
        self.executors.append(app.local_executor(self.world(runner=runner)))
        return self.executors[-1]

    def code(self, source: str, file: str = "flow.py", folder: str = "code") -> Path:
        """Write a flow's file; the root of its code."""
        root = self._made(folder)
        (root / file).write_text(source)
        return root

    def plan(self, root: Path, graph: FlowGraph | None = None, **request: Any) -> RunPlan:
        """A new run of the flow `F` in that folder."""
        self.runs += 1
        graph = graph or line("start", "end")
        asked = RunRequest(
            run_id=f"h{self.runs:020d}",
            namespace="shop/user.ada",
            flow=graph.flow,
            version=0,
            parameters={"folder": json.dumps(str(self.folder))},
            causes=(),
            causes_digest=None,
            roots=(),
            hops=0,
            requested_at=datetime.now(UTC),
        )
        return RunPlan(replace(asked, **request), graph, str(root), graph.file, epoch=1)

    def task(self, plan: RunPlan, step: str = "start", *inputs: TaskKey) -> TaskPlan:
        """An attempt of a step."""
        return TaskPlan(plan, TaskKey(plan.epoch, step), inputs)

    def artifact(self, task: TaskPlan, name: str) -> Any:
        """What an attempt left under a name."""
        store, place = self.world().store, place_of(task.run.request)
        ref = read_task(store, place, task.key).artifacts[name]
        return load_value(store, task.run.project, ref, allow_pickle=True)

    def output(self, task: TaskPlan, stream: str) -> str:
        """What the store has of what an attempt printed."""
        key = task.key
        prefix = place_of(task.run.request).attempt(key.epoch, key.step, key.task, key.attempt)
        return self.world().store.get(prefix + stream).decode()

    def has_artifacts(self, task: TaskPlan) -> bool:
        """Whether an attempt left its artifacts."""
        key = place_of(task.run.request).artifacts(task.key)
        return self.world().store.info(key) is not None

    def said(self, name: str) -> str:
        """What a step wrote to a file in `folder`, once it is there, whole lines only."""

        def content() -> str:
            text = (self.folder / name).read_text()
            return text if text.endswith("\n") else ""

        return eventually(content, message=f"nothing in {name}").strip()

    def ran(self) -> list[str]:
        """What a flow that begins with `NOTING` noted since the last time, in that order."""
        notes = self.folder / "ran"
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    def pid(self, name: str) -> int:
        """A process id that a step left."""
        return int(self.said(name))

    def close(self) -> None:
        """End everything."""
        for executor in self.executors:
            executor.close()

    def _made(self, name: str) -> Path:
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        return folder


def run_out(executor: Executor, *tasks: TaskPlan) -> list[TaskEnd]:
    """Start tasks and wait for the end of each; in the order in which they ended."""
    for task in tasks:
        executor.start(task)
    ends: list[TaskEnd] = []

    def all_ended() -> bool:
        ends.extend(executor.poll(timedelta(seconds=1)))
        return len(ends) >= len(tasks)

    eventually(all_ended, timeout=60, message="tasks have not ended")
    return ends


def _node(name: str, *next_steps: str) -> StepNode:
    kind = {0: StepKind.END, 1: StepKind.LINEAR}.get(len(next_steps), StepKind.SPLIT)
    return StepNode(name, kind, next_steps, is_join=False, line=1)
