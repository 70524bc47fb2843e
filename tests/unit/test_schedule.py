"""Which tasks a run has, what each reads, and when the run is over: the schedule of its graph."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.schedule import Ready, Schedule
from eventflow.model.task import RunEnd, TaskKey
from tests.support.driven import graph, node

NESTED = graph(
    node("start", "outer"),
    node("outer", "inner", kind=StepKind.FOREACH),
    node("inner", "leaf", kind=StepKind.FOREACH),
    node("leaf", "left", "right"),
    node("left", "both"),
    node("right", "both"),
    node("both", "rows", joins=True),
    node("rows", "all", joins=True),
    node("all", "end", joins=True),
    node("end"),
)
LOOP = graph(
    node("start", "fan"),
    node("fan", "item", kind=StepKind.FOREACH),
    node("item", "item", "join", kind=StepKind.SWITCH),
    node("join", "again", joins=True),
    node("again", "fan", "end", kind=StepKind.SWITCH),
    node("end"),
)


@dataclass
class Played:
    """A run played to its end: what was ready, in which order; `said` answers for each task."""

    said: Callable[[Ready, StepNode], tuple[tuple[str, ...], int]]
    seed: int = 0
    tasks: dict[str, Ready] = field(default_factory=dict)

    def run(self, flow: FlowGraph) -> RunEnd:
        chance = random.Random(self.seed)
        schedule = Schedule.begin(flow)
        at_work: list[Ready] = []
        while schedule.end is None:
            while (ready := schedule.take()) is not None:
                name = f"{ready.step}/{ready.task}"
                assert name not in self.tasks, f"{name} is there twice"
                self.tasks[name] = ready
                at_work.append(ready)
            done = at_work.pop(chance.randrange(len(at_work)))
            key = TaskKey(1, done.step, done.task)
            schedule.succeeded(key, *self.said(done, flow.step(done.step)))
        return schedule.end


def forward(ready: Ready, at: StepNode) -> tuple[tuple[str, ...], int]:
    """Every foreach has three items; a switch goes on at its second visit."""
    if at.kind is StepKind.SWITCH:
        return (at.next_steps[0 if ready.task.rpartition(".")[2] != "1" else 1],), 0
    return at.next_steps, 3 if at.kind in (StepKind.FOREACH, StepKind.PARALLEL) else 0


def test_tasks_are_named_by_their_place_in_nested_foreaches_and_splits() -> None:
    played = Played(forward)

    end = played.run(NESTED)

    leaves = {name for name in played.tasks if name.startswith("leaf/")}
    assert end.outcome is Outcome.SUCCEEDED
    assert leaves == {f"leaf/0-{i}-{j}" for i in range(3) for j in range(3)}
    assert {name for name in played.tasks if name.startswith("rows/")} == {
        f"rows/0-{i}" for i in range(3)
    }
    assert {"all/0", "end/0"} <= played.tasks.keys()
    assert end.manifest.keys() == played.tasks.keys()


def test_a_join_reads_all_branches_of_its_own_split_in_their_order() -> None:
    played = Played(forward, seed=7)

    played.run(NESTED)

    both, rows, together = (played.tasks[n] for n in ("both/0-1-2", "rows/0-1", "all/0"))
    assert [each.path for each in both.inputs] == ["e1/left/0-1-2/0", "e1/right/0-1-2/0"]
    assert [each.task for each in rows.inputs] == ["0-1-0", "0-1-1", "0-1-2"]
    assert [each.task for each in together.inputs] == ["0-0", "0-1", "0-2"]


def test_a_task_knows_the_levels_of_foreach_around_it_and_a_join_those_outside() -> None:
    played = Played(forward)

    played.run(NESTED)

    assert [(i.opened_by.step, i.index, i.count) for i in played.tasks["left/0-2-1"].items] == [
        ("outer", 2, 3),
        ("inner", 1, 3),
    ]
    assert [(i.opened_by.step, i.index) for i in played.tasks["rows/0-2"].items] == [("outer", 2)]
    assert played.tasks["all/0"].items == ()


def test_each_round_of_a_loop_has_tasks_of_its_own() -> None:
    played = Played(forward)

    end = played.run(LOOP)

    assert end.outcome is Outcome.SUCCEEDED
    assert set(played.tasks) == {
        *("start/0", "fan/0", "fan/0.1", "join/0", "join/0.1", "again/0", "again/0.1", "end/0"),
        *(f"item/0-{i}{visit}" for i in range(3) for visit in ("", ".1")),
        *(f"item/0.1-{i}{visit}" for i in range(3) for visit in ("", ".1")),
    }
    assert [each.task for each in played.tasks["join/0.1"].inputs] == [
        f"0.1-{i}.1" for i in range(3)
    ]


@pytest.mark.parametrize("flow", [NESTED, LOOP], ids=["nested", "loop"])
def test_tasks_and_what_they_read_do_not_depend_on_the_order_in_which_others_end(
    flow: FlowGraph,
) -> None:
    plays = [Played(forward, seed) for seed in range(20)]

    for each in plays:
        each.run(flow)

    seen = [{name: (r.inputs, r.items) for name, r in each.tasks.items()} for each in plays]
    assert all(each == seen[0] for each in seen)


def test_a_foreach_of_many_items_is_made_one_task_at_a_time() -> None:
    schedule = Schedule.begin(
        graph(
            node("start", "item", kind=StepKind.FOREACH),
            node("item", "end"),
            node("end", joins=True),
        )
    )
    schedule.take()
    schedule.succeeded(TaskKey(1, "start"), ("item",), 1_000_000)

    taken = [schedule.take() for _ in range(3)]

    assert [each.task for each in taken if each] == ["0-0", "0-1", "0-2"]
    assert len(schedule.running) == 3


def test_what_was_given_back_is_taken_first_and_in_its_order() -> None:
    schedule = Schedule.begin(graph(node("start", "a", "b"), node("a"), node("b")))
    schedule.take()
    schedule.succeeded(TaskKey(1, "start"), ("a", "b"))
    taken = tuple(each for each in (schedule.take(), schedule.take()) if each)

    schedule.give_back(taken)

    assert [each.step for each in iter(schedule.take, None)] == ["a", "b"]


@pytest.mark.parametrize(
    ("said", "splits"),
    [((), 0), (("end",), 0), (("a",), 0), (("a", "end"), 2), (("a",), -1)],
)
def test_a_task_that_goes_where_its_graph_does_not_fails_the_run(
    said: tuple[str, ...], splits: int
) -> None:
    flow = graph(node("start", "a", kind=StepKind.FOREACH), node("a", "end"), node("end"))
    schedule = Schedule.begin(flow)
    schedule.take()

    schedule.succeeded(TaskKey(1, "start"), said, splits)

    assert schedule.end is not None
    assert schedule.end.outcome is Outcome.FAILED
    assert schedule.end.reason.startswith("Step start failed: it went to")


def test_the_failure_of_an_item_names_it_and_lets_the_others_end() -> None:
    flow = graph(
        node("start", "a", kind=StepKind.FOREACH), node("a", "end"), node("end", joins=True)
    )
    schedule = Schedule.begin(flow)
    schedule.take()
    schedule.succeeded(TaskKey(1, "start"), ("a",), 3)
    schedule.take()
    schedule.take()

    schedule.failed(TaskKey(1, "a", "0-1"), "ValueError: x")

    assert (schedule.take(), schedule.end) == (None, None)
    schedule.succeeded(TaskKey(1, "a", "0-0"), ("end",))
    assert schedule.end is not None
    assert schedule.end.reason == "Step a/0-1 failed: ValueError: x"


def test_one_step_may_be_first_and_last() -> None:
    played = Played(forward)

    end = played.run(graph(node("only")))

    assert (end.outcome, set(end.manifest)) == (Outcome.SUCCEEDED, {"only/0"})
