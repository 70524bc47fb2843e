"""What another epoch takes over of a run that stopped within a foreach, a gang or a loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventflow.model.completion import Outcome
from eventflow.model.graph import StepKind
from eventflow.model.task import Item, RunPlan, TaskKey
from eventflow.store.local import LocalStore
from tests.support.driven import Driven, finish, graph, node, plan_of

FOREACH = graph(
    node("start", "each", kind=StepKind.FOREACH),
    node("each", "join"),
    node("join", "end", joins=True),
    node("end"),
)
GANG = graph(
    node("start", "each", kind=StepKind.PARALLEL),
    node("each", "join"),
    node("join", joins=True),
)
LOOP = graph(
    node("start", "look"),
    node("look", "look", "end", kind=StepKind.SWITCH),
    node("end"),
)
START = TaskKey(1, "start")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def begun(plan: RunPlan, store: LocalStore) -> Driven:
    """The driver of a further epoch."""
    driven = Driven(plan, store)
    driven.driver.begin(reuse=True)
    return driven


def item(store: LocalStore, plan: RunPlan, index: int, of: int = 3, **key: int) -> TaskKey:
    """An item of the foreach that the start of epoch 1 opened, finished."""
    name = TaskKey(key.get("epoch", 1), "each", f"0-{index}", key.get("attempt", 0))
    return finish(store, plan, name, START, items=(Item(START, index, of),))


class TestForeach:
    def test_only_the_items_that_are_missing_run_with_the_names_and_items_they_had(
        self, store: LocalStore
    ) -> None:
        plan = plan_of(FOREACH, epoch=2)
        finish(store, plan, START, splits=3)
        item(store, plan, 0)
        item(store, plan, 2)

        driven = begun(plan, store)

        (task,) = driven.executor.tasks
        assert task.key == TaskKey(2, "each", "0-1")
        assert (task.inputs, task.items) == ((START,), (Item(START, 1, 3),))

    def test_its_join_reads_the_attempts_of_both_epochs_in_their_order(
        self, store: LocalStore
    ) -> None:
        plan = plan_of(FOREACH, epoch=2)
        finish(store, plan, START, splits=3)
        first = item(store, plan, 0, attempt=2)
        last = item(store, plan, 2)
        driven = begun(plan, store)

        driven.succeeds("each/0-1/0")

        assert driven.executor.tasks[-1].key == TaskKey(2, "join")
        assert driven.executor.tasks[-1].inputs == (first, TaskKey(2, "each", "0-1"), last)

    def test_when_all_items_are_there_the_join_is_next(self, store: LocalStore) -> None:
        plan = plan_of(FOREACH, epoch=2)
        finish(store, plan, START, splits=3)
        for index in range(3):
            item(store, plan, index)

        assert begun(plan, store).executor.paths == ["join/0/0"]

    def test_items_of_a_start_that_does_not_count_run_again(self, store: LocalStore) -> None:
        # Epoch 2 ran the start again, and may have found other items.
        plan = plan_of(FOREACH, epoch=3)
        finish(store, plan, START, splits=3)
        item(store, plan, 0)
        finish(store, plan, TaskKey(2, "start"), splits=2)

        driven = begun(plan, store)

        assert driven.executor.paths == ["each/0-0/0", "each/0-1/0"]
        assert {task.inputs for task in driven.executor.tasks} == {(TaskKey(2, "start"),)}

    def test_the_latest_attempt_counts_where_it_read_what_counts(self, store: LocalStore) -> None:
        plan = plan_of(FOREACH, epoch=3)
        finish(store, plan, START, splits=2)
        item(store, plan, 0, 2)
        latest = item(store, plan, 0, 2, attempt=1)
        other = TaskKey(2, "start", "0", 5)  # that nobody knows
        finish(store, plan, TaskKey(2, "each", "0-0"), other, items=(Item(other, 0, 2),))
        driven = begun(plan, store)

        driven.succeeds("each/0-1/0")

        assert driven.executor.tasks[-1].inputs[0] == latest

    def test_a_join_that_read_other_attempts_runs_again(self, store: LocalStore) -> None:
        plan = plan_of(FOREACH, epoch=3)
        finish(store, plan, START, splits=2)
        kept = [item(store, plan, index, 2, epoch=2) for index in range(2)]
        finish(store, plan, TaskKey(2, "join"), kept[0], TaskKey(1, "each", "0-1"))

        driven = begun(plan, store)

        assert driven.executor.paths == ["join/0/0"]
        assert driven.executor.tasks[0].inputs == tuple(kept)

    def test_a_task_that_went_where_the_graph_does_not_lead_runs_again(
        self, store: LocalStore
    ) -> None:
        plan = plan_of(FOREACH, epoch=2)
        finish(store, plan, START, to=("join",), splits=2)

        assert begun(plan, store).executor.paths == ["start/0/0"]


class TestGang:
    def test_a_gang_of_which_one_is_missing_runs_again_as_a_whole(self, store: LocalStore) -> None:
        plan = plan_of(GANG, epoch=2)
        finish(store, plan, START, splits=3)
        item(store, plan, 0)
        item(store, plan, 2)

        driven = begun(plan, store)

        assert driven.executor.paths == ["each/0-0/0", "each/0-1/0", "each/0-2/0"]
        assert driven.driver.finished_tasks == 1

    def test_a_whole_gang_counts(self, store: LocalStore) -> None:
        plan = plan_of(GANG, epoch=2)
        finish(store, plan, START, splits=3)
        for index in range(3):
            item(store, plan, index)

        assert begun(plan, store).executor.paths == ["join/0/0"]

    def test_another_gang_beside_a_broken_one_counts(self, store: LocalStore) -> None:
        flow = graph(
            node("start", "row", kind=StepKind.FOREACH),
            node("row", "each", kind=StepKind.PARALLEL),
            node("each", "gang"),
            node("gang", "join", joins=True),
            node("join", joins=True),
        )
        plan = plan_of(flow, epoch=2)
        finish(store, plan, START, splits=2)
        for row in range(2):
            around = (Item(START, row, 2),)
            opened_by = finish(
                store, plan, TaskKey(1, "row", f"0-{row}"), START, splits=2, items=around
            )
            for index in range(2 - row):  # of the second gang one is missing
                key = TaskKey(1, "each", f"0-{row}-{index}")
                finish(store, plan, key, opened_by, items=(*around, Item(opened_by, index, 2)))

        driven = begun(plan, store)

        assert sorted(driven.executor.paths) == ["each/0-1-0/0", "each/0-1-1/0", "gang/0-0/0"]


class TestLoop:
    def test_a_loop_goes_on_in_the_round_that_it_had_come_to(self, store: LocalStore) -> None:
        plan = plan_of(LOOP, epoch=2)
        finish(store, plan, START)
        first = finish(store, plan, TaskKey(1, "look"), START, to=("look",))
        second = finish(store, plan, TaskKey(1, "look", "0.1"), first, to=("look",))

        driven = begun(plan, store)

        (task,) = driven.executor.tasks
        assert task.key == TaskKey(2, "look", "0.2")
        assert task.inputs == (second,)

    def test_the_way_that_a_switch_took_is_not_taken_back(self, store: LocalStore) -> None:
        plan = plan_of(LOOP, epoch=2)
        finish(store, plan, START)
        out = finish(store, plan, TaskKey(1, "look"), START, to=("end",))
        driven = begun(plan, store)

        driven.succeeds("end/0/0")

        assert driven.executor.tasks[0].inputs == (out,)
        assert driven.driver.end is not None
        assert driven.driver.end.outcome is Outcome.SUCCEEDED
        assert driven.driver.end.manifest.keys() == {"start/0", "look/0", "end/0"}

    def test_a_switch_that_went_two_ways_at_once_runs_again(self, store: LocalStore) -> None:
        plan = plan_of(LOOP, epoch=2)
        finish(store, plan, START)
        finish(store, plan, TaskKey(1, "look"), START, to=("look", "end"))

        assert begun(plan, store).executor.paths == ["look/0/0"]
