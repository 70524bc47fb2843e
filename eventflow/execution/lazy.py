"""Artifacts of the tasks before a task, each read from the store when it is asked for.

Of a join with many inputs some are read ahead in parallel, and few are kept: going through
10,000 of them takes the memory of some hundred.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from eventflow.authoring.inputs import Input, Inputs, Level
from eventflow.authoring.transition import FOREACH_ITEMS
from eventflow.store.artifacts import load_value, read_task, read_tasks
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.context import World
    from eventflow.model.task import Item, TaskKey, TaskPlan
    from eventflow.store.artifacts import ArtifactRef, TaskRecord

__all__ = ["LazyValues", "inputs_of", "levels_of"]

_READ_AHEAD = 256
_KEPT_INPUTS = 512
_KEPT_FOREACHES = 16


class LazyValues:
    """The artifacts of one task. A value is kept once it was loaded."""

    def __init__(self, world: World, project: str, refs: Mapping[str, ArtifactRef]) -> None:
        self._world, self._project = world, project
        self.refs = refs
        self._loaded: dict[str, Any] = {}

    def version(self, name: str) -> str:
        """The digest of the value, and how it is encoded."""
        ref = self.refs[name]
        return f"{ref.encoder} {ref.digest}"

    def __getitem__(self, name: str) -> object:
        if name not in self._loaded:
            self._loaded[name] = load_value(
                self._world.store,
                self._project,
                self.refs[name],
                allow_pickle=self._world.allow_pickle,
            )
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.refs

    def __iter__(self) -> Iterator[str]:
        return iter(self.refs)

    def __len__(self) -> int:
        return len(self.refs)


def inputs_of(world: World, task: TaskPlan) -> Inputs:
    """The inputs of a join."""
    return Inputs([key.step for key in task.inputs], _InputReader(world, task).read)


def levels_of(world: World, task: TaskPlan, items: Sequence[Item]) -> tuple[Level, ...]:
    """The levels of foreach that `items` say, outermost first; an item is read when asked for,
    and is the same object then whenever it is asked for."""
    return _Items(world, task).levels(items)


class _Items:
    """The items of the foreaches around tasks; those of the latest few foreaches are kept."""

    def __init__(self, world: World, task: TaskPlan) -> None:
        self._world, self._task = world, task
        self._kept: dict[TaskKey, Any] = {}

    def levels(self, items: Sequence[Item]) -> tuple[Level, ...]:
        return tuple(Level(each.index, each.count, partial(self._item, each)) for each in items)

    def _item(self, item: Item) -> object:
        """One item; None for that of a gang."""
        key = item.opened_by
        if key not in self._kept:
            self._kept[key] = self._opened_by(key)
            for oldest in tuple(islice(self._kept, max(0, len(self._kept) - _KEPT_FOREACHES))):
                del self._kept[oldest]
        items = self._kept[key]
        return None if items is None else items[item.index]

    def _opened_by(self, key: TaskKey) -> Any:
        """All items, from what the task left that opened the foreach; None for a gang."""
        artifact = self._task.run.graph.step(key.step).foreach
        if artifact is None:
            return None
        record = read_task(self._world.store, place_of(self._task.run.request), key)
        name = FOREACH_ITEMS if FOREACH_ITEMS in record.artifacts else artifact
        return LazyValues(self._world, self._task.run.project, record.artifacts)[name]


class _InputReader:
    """Reads inputs, some at once, and keeps the latest."""

    def __init__(self, world: World, task: TaskPlan) -> None:
        self._world, self._task = world, task
        self._items = _Items(world, task)
        self._kept: dict[int, Input] = {}

    def read(self, number: int) -> Input:
        """The input of that number."""
        if number not in self._kept:
            self._read_from(number)
        return self._kept[number]

    def _read_from(self, number: int) -> None:
        keys = self._task.inputs[number : number + _READ_AHEAD]
        for offset, record in enumerate(_records(self._world, self._task, keys)):
            self._kept[number + offset] = self._input(record)
        surplus = max(0, len(self._kept) - _KEPT_INPUTS)
        for oldest in tuple(islice(self._kept, surplus)):
            del self._kept[oldest]

    def _input(self, record: TaskRecord) -> Input:
        values = LazyValues(self._world, self._task.run.project, record.artifacts)
        return Input(record.key.step, values, self._items.levels(record.items))


def _records(world: World, task: TaskPlan, keys: Sequence[TaskKey]) -> Iterator[TaskRecord]:
    return read_tasks(world.store, place_of(task.run.request), keys)
