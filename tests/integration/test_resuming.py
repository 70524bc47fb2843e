"""A run that takes over what another has finished: by reference, and only what still fits."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

from eventflow.execution.by_hand import run_by_hand
from eventflow.execution.cloning import Origin
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.task import RunPlan, TaskKey
from eventflow.store.artifacts import read_task
from eventflow.store.runs import EndFile, place_of
from tests.support.flows import NOTING, Flows

SOURCE = (
    NOTING
    + """
    @step
    def start(self):
        self.note("start")
        self.rows = [1, 2, 3]
        self.next(self.work, foreach="rows")

    @step
    def work(self):
        self.note(f"work {self.input}")
        if self.input == 2 and Path(self.folder, "fail").exists():
            raise ValueError("two is broken")
        print("at work", flush=True)
        while self.input == 2 and Path(self.folder, "wait").exists():
            time.sleep(0.005)
        self.double = self.input * 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.note("join")
        self.total = sum(each.double for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        self.note(f"end {self.total}")
"""
)
GRAPH = FlowGraph(
    "F",
    "flow.py",
    "",
    (
        StepNode("start", StepKind.FOREACH, ("work",), False, 1, foreach="rows"),
        StepNode("work", StepKind.LINEAR, ("join",), False, 1),
        StepNode("join", StepKind.LINEAR, ("end",), True, 1),
        StepNode("end", StepKind.END, (), False, 1),
    ),
)


def execute(flows: Flows, plan: RunPlan, origin: Origin | None = None) -> EndFile:
    world = flows.world()
    return run_by_hand(
        plan,
        flows.executor(),
        world.store,
        world.effects,
        on_line=lambda *_: None,
        origin=origin,
    )


def failed_run(flows: Flows) -> RunPlan:
    """A run whose second item failed."""
    plan = flows.plan(flows.code(SOURCE), GRAPH)
    (flows.folder / "fail").touch()
    assert execute(flows, plan).outcome is Outcome.FAILED
    (flows.folder / "fail").unlink()
    flows.ran()
    return plan


def resumed(flows: Flows, plan: RunPlan, graph: FlowGraph = GRAPH) -> RunPlan:
    again = flows.plan(Path(plan.code_root), graph)
    return replace(again, request=replace(again.request, origin=plan.request.run_id))


def test_a_resumed_run_does_what_was_not_finished_and_reads_what_was(flows: Flows) -> None:
    origin = failed_run(flows)
    plan = resumed(flows, origin)

    end = execute(flows, plan, Origin(place_of(origin.request)))

    assert (end.outcome, sorted(flows.ran())) == (Outcome.SUCCEEDED, ["end 12", "join", "work 2"])


def test_what_was_cloned_says_where_it_ran_and_refers_to_the_same_versions(flows: Flows) -> None:
    origin = failed_run(flows)
    plan = resumed(flows, origin)

    execute(flows, plan, Origin(place_of(origin.request)))

    store, key = flows.world().store, TaskKey(1, "work", "0-0")
    clone = read_task(store, place_of(plan.request), key)
    original = read_task(store, place_of(origin.request), key)
    fresh = read_task(store, place_of(plan.request), TaskKey(1, "work", "0-1"))
    assert (clone.origin, fresh.origin) == (origin.request.run_id, "")
    assert clone.artifacts == original.artifacts


def test_from_a_named_step_on_everything_runs_again(flows: Flows) -> None:
    origin = flows.plan(flows.code(SOURCE), GRAPH)
    execute(flows, origin)
    flows.ran()
    plan = resumed(flows, origin)

    end = execute(flows, plan, Origin(place_of(origin.request), from_step="join"))

    assert (end.outcome, sorted(flows.ran())) == (Outcome.SUCCEEDED, ["end 12", "join"])


def test_a_resumed_run_can_be_resumed_and_its_clones_name_the_first_one(flows: Flows) -> None:
    origin = failed_run(flows)
    second = resumed(flows, origin)
    execute(flows, second, Origin(place_of(origin.request)))
    flows.ran()
    third = resumed(flows, second)

    execute(flows, third, Origin(place_of(second.request), from_step="end"))

    clone = read_task(flows.world().store, place_of(third.request), TaskKey(1, "start"))
    assert (sorted(flows.ran()), clone.origin) == (["end 12"], origin.request.run_id)


def test_where_the_graph_has_changed_nothing_is_cloned(flows: Flows) -> None:
    origin = failed_run(flows)
    code = SOURCE.replace("self.next(self.work, foreach", "self.next(self.other, foreach")
    flows.code(code.replace("def work(self)", "def other(self)"))
    nodes = [
        replace(
            node,
            name="other" if node.name == "work" else node.name,
            next_steps=tuple("other" if n == "work" else n for n in node.next_steps),
        )
        for node in GRAPH.steps
    ]
    plan = resumed(flows, origin, replace(GRAPH, steps=tuple(nodes)))

    end = execute(flows, plan, Origin(place_of(origin.request)))

    everything = ["end 12", "join", "start", "work 1", "work 2", "work 3"]
    assert (end.outcome, sorted(flows.ran())) == (Outcome.SUCCEEDED, everything)


def test_a_run_that_was_interrupted_is_cancelled_and_can_be_resumed(flows: Flows) -> None:
    origin = flows.plan(flows.code(SOURCE), GRAPH)
    (flows.folder / "wait").touch()
    world = flows.world()

    def interrupt(key: TaskKey, stream: str, _line: str) -> None:
        if (key.task, stream) == ("0-1", "stdout"):
            os.kill(os.getpid(), signal.SIGINT)

    end = run_by_hand(origin, flows.executor(), world.store, world.effects, on_line=interrupt)
    (flows.folder / "wait").unlink()
    flows.ran()
    again = execute(flows, resumed(flows, origin), Origin(place_of(origin.request)))

    assert (end.outcome, end.reason) == (Outcome.CANCELLED, "stopped by SIGINT")
    assert again.outcome is Outcome.SUCCEEDED
    assert "start" not in flows.ran()
