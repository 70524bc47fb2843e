"""`resume`: a new run takes over what another has finished, by reference, and does the rest.

A cloned task is an `artifacts.json` of its own that refers to the values of the original, which
never change. What the code has become since is heeded: where the graph does not lead any more,
nothing is cloned. The output of a cloned task stays with the original.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventflow.execution.reuse import fitting, go_through, goes_on, standing_attempts, whole_gangs
from eventflow.model.schedule import Schedule
from eventflow.model.task import TaskKey
from eventflow.store.artifacts import write_clones
from eventflow.store.runs import read_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.execution.reuse import Standing
    from eventflow.model.graph import FlowGraph
    from eventflow.model.schedule import Ready
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = ["Origin", "clone_finished"]

_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that is resumed. With `from_step`, that step and all that follows run again."""

    place: RunPlace
    from_step: str | None = None


def clone_finished(
    store: Store,
    origin: Origin,
    place: RunPlace,
    graph: FlowGraph,
    meanwhile: Callable[[], None] = lambda: None,
    max_num_splits: int | None = None,
) -> int:
    """Clone the tasks of the origin that count into the run at `place`; how many there were.

    On return they are durable. A repeat is harmless. `meanwhile` is called after each task. What
    a task has opened is not cloned where that is more than `max_num_splits` tasks.
    """
    schedule = Schedule.begin(graph, max_num_splits)
    cloning = _Cloning(store, origin, place, schedule, meanwhile)
    go_through(cloning.schedule, cloning.find)
    return len(cloning.schedule.finished)


class _Cloning:
    def __init__(
        self,
        store: Store,
        origin: Origin,
        place: RunPlace,
        schedule: Schedule,
        meanwhile: Callable[[], None],
    ) -> None:
        self.schedule = schedule
        self._meanwhile = meanwhile
        self._store, self._origin, self._place = store, origin, place
        self._standing = _standing(store, origin.place)
        self._originals: dict[TaskKey, TaskKey] = {}

    def find(self, wave: Sequence[Ready]) -> Mapping[Ready, TaskRecord]:
        """The clones of the tasks of a wave."""
        originals = fitting(self._store, self._origin.place, wave, self._standing, self._fits)
        whole = whole_gangs(wave, dict(originals))
        clones = {ready: self._clone(ready, original) for ready, original in whole.items()}
        write_clones(self._store, self._place, tuple(clones.values()))
        return clones

    def _fits(self, ready: Ready, record: TaskRecord) -> bool:
        if ready.step == self._origin.from_step:
            return False
        read_from = tuple(self._originals.get(key) for key in ready.inputs)
        return record.inputs == read_from and goes_on(self.schedule, record)

    def _clone(self, ready: Ready, original: TaskRecord) -> TaskRecord:
        self._meanwhile()
        key = TaskKey(_EPOCH, ready.step, ready.task)
        self._originals[key] = original.key
        return replace(
            original,
            key=key,
            inputs=ready.inputs,
            items=ready.items,
            published=(),
            origin=original.origin or self._origin.place.run_id,
        )


def _standing(store: Store, place: RunPlace) -> Standing:
    """The attempts of a run that count: those of its manifest, or what stands where it has none."""
    end = read_end(store, place)
    if end is None:
        return standing_attempts(store, place)
    return {(key.step, key.task): (key,) for key in end.manifest.values()}
