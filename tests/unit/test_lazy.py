"""What a task reads of those before it: late, some ahead, and few kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventflow import app
from eventflow.context import World
from eventflow.execution.lazy import inputs_of, levels_of
from eventflow.model.graph import StepKind
from eventflow.model.task import Item, TaskKey, TaskPlan
from eventflow.settings import Settings
from eventflow.store.artifacts import TaskRecord, save_values, write_task
from eventflow.store.local import LocalStore
from eventflow.store.runs import place_of
from tests.support.driven import NOW, graph, node, plan_of

START = TaskKey(1, "start")
PLAN = plan_of(
    graph(
        replace(node("start", "each", kind=StepKind.FOREACH), foreach="letters"),
        node("each", "join"),
        node("join", joins=True),
    )
)
GANG = plan_of(
    graph(
        node("start", "each", kind=StepKind.PARALLEL),
        node("each", "join"),
        node("join", joins=True),
    )
)


class Counting(LocalStore):
    """A store that counts what is read, one by one and several in a call."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.single = list[str]()
        self.calls = list[int]()

    def get(self, key: str, **options: Any) -> bytes:
        self.single.append(key)
        return super().get(key, **options)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        asked = list(keys)
        self.calls.append(len(asked))
        return super().get_all(asked)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    (tmp_path / "store").mkdir()
    return Counting(tmp_path / "store")


@pytest.fixture
def world(tmp_path: Path, store: Counting) -> World:
    connected = app.connect(Settings(home=tmp_path))
    return replace(connected, makers=replace(connected.makers, store=lambda _: store))


def leave(store: Counting, key: TaskKey, items: tuple[Item, ...] = (), **values: object) -> TaskKey:
    """What a task has left."""
    artifacts = save_values(store, PLAN.project, values)
    record = TaskRecord(key, artifacts, (), (), NOW, NOW, (), 0, items)
    write_task(store, place_of(PLAN.request), record, "nonce")
    return key


def a_join_of(store: Counting, count: int) -> TaskPlan:
    """A join of so many items, of which each has its number."""
    leave(store, START, letters=[f"letter {index}" for index in range(count)])
    inputs = tuple(
        leave(store, TaskKey(1, "each", f"0-{n}"), (Item(START, n, count),), number=n)
        for n in range(count)
    )
    store.single.clear()
    return TaskPlan(PLAN, TaskKey(1, "join"), inputs)


def kept(inputs: Any) -> int:
    """How many inputs are held."""
    return len(inputs._read.__self__._kept)


class TestInputs:
    def test_going_through_thousands_reads_some_hundred_at_once_and_keeps_as_few(
        self, world: World, store: Counting
    ) -> None:
        inputs = inputs_of(world, a_join_of(store, 2000))

        most, numbers = 0, []
        for each in inputs:
            numbers.append(each.number)
            most = max(most, kept(inputs))

        assert numbers == list(range(2000))
        assert most <= 512
        assert len(store.calls) == 8
        assert max(store.calls) == 256

    def test_nothing_is_read_before_an_input_is_asked_for(
        self, world: World, store: Counting
    ) -> None:
        inputs = inputs_of(world, a_join_of(store, 3))

        assert len(inputs) == 3
        assert (store.calls, store.single) == ([], [])

    def test_one_from_the_middle_is_read_with_those_behind_it_and_again_when_it_was_let_go(
        self, world: World, store: Counting
    ) -> None:
        inputs = inputs_of(world, a_join_of(store, 1000))

        numbers = [inputs[900].number, inputs[-1].number]
        for each in inputs[:700]:
            _ = each.number
        again = inputs[0].number

        assert numbers == [900, 999]
        assert again == 0
        assert store.calls[0] == 100

    def test_few_inputs_are_the_same_objects_whenever_they_are_asked_for(
        self, world: World, store: Counting
    ) -> None:
        inputs = inputs_of(world, a_join_of(store, 3))

        assert [*inputs][1] is inputs[1]
        assert inputs.each is inputs[0]
        assert store.calls == [3]

    def test_the_items_of_all_inputs_are_read_once(self, world: World, store: Counting) -> None:
        inputs = inputs_of(world, a_join_of(store, 300))

        items = [(each.index, each.input) for each in inputs]

        assert items == [(n, f"letter {n}") for n in range(300)]
        assert sum("/start/" in key for key in store.single) == 1


class TestLevels:
    def test_an_item_is_the_same_object_whenever_it_is_asked_for(
        self, world: World, store: Counting
    ) -> None:
        leave(store, START, letters=[["a"], ["b"]])
        task = TaskPlan(PLAN, TaskKey(1, "each", "0-1"), (START,), (Item(START, 1, 2),))
        (level,) = levels_of(world, task, task.items)

        first: Any = level.load()
        first.append("changed")

        assert level.load() == ["b", "changed"]

    def test_items_that_were_kept_besides_come_before_their_artifact(
        self, world: World, store: Counting
    ) -> None:
        leave(store, START, letters={"x": 1}, _foreach_items=["x"])
        task = TaskPlan(PLAN, TaskKey(1, "each", "0-0"), (START,), (Item(START, 0, 1),))

        (level,) = levels_of(world, task, task.items)

        assert level.load() == "x"

    def test_a_task_of_a_gang_has_no_item(self, world: World) -> None:
        task = TaskPlan(GANG, TaskKey(1, "each", "0-0"), (START,), (Item(START, 0, 2),))

        (level,) = levels_of(world, task, task.items)

        assert (level.index, level.count, level.load()) == (0, 2, None)

    def test_nothing_is_read_for_a_level_whose_item_nobody_asks_for(
        self, world: World, store: Counting
    ) -> None:
        task = TaskPlan(PLAN, TaskKey(1, "each", "0-0"), (START,), (Item(START, 0, 2),))

        (level,) = levels_of(world, task, task.items)

        assert level.index == 0
        assert (store.calls, store.single) == ([], [])
