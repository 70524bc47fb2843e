"""Which tasks of a run need not run again: those whose artifacts stand already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.task import TaskKey
from eventflow.store.artifacts import read_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from eventflow.model.schedule import Ready, Schedule
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

    Standing = Mapping[tuple[str, str], Sequence[TaskKey]]
    Find = Callable[[Sequence[Ready]], Mapping[Ready, TaskRecord]]

__all__ = ["fitting", "go_through", "goes_on", "standing_attempts", "take_up", "whole_gangs"]


def take_up(schedule: Schedule, store: Store, place: RunPlace) -> None:
    """Bring a new schedule to where the run has come: one execution, not a mixture.

    An attempt only counts when it read from the very attempts that count of the tasks before it:
    a late one of a zombie may have read from others. A gang counts as a whole. One listing, and
    one read for each attempt, those of tasks that lie side by side in parallel.
    """
    standing = standing_attempts(store, place)

    def find(wave: Sequence[Ready]) -> Mapping[Ready, TaskRecord]:
        def fits(ready: Ready, record: TaskRecord) -> bool:
            return record.inputs == ready.inputs and goes_on(schedule, record)

        return whole_gangs(wave, dict(fitting(store, place, wave, standing, fits)))

    go_through(schedule, find)


def go_through(schedule: Schedule, find: Find) -> None:
    """Let all tasks succeed that `find` has the artifacts of, from the first one on, wave after
    wave; the others are left to be taken. The record that is found of a task becomes its own."""
    missing: list[Ready] = []
    while wave := tuple(iter(schedule.take, None)):
        found = find(wave)
        for ready in wave:
            if ready not in found:
                missing.append(ready)
            else:
                record = found[ready]
                schedule.succeeded(record.key, record.next_steps, record.splits)
    schedule.give_back(tuple(missing))


def whole_gangs(
    wave: Sequence[Ready], found: Mapping[Ready, TaskRecord]
) -> dict[Ready, TaskRecord]:
    """What was found, without gangs of which a task is missing: they run at once or not at all."""
    broken = {ready.inputs for ready in wave if ready.is_in_gang and ready not in found}
    return {
        ready: record
        for ready, record in found.items()
        if not (ready.is_in_gang and ready.inputs in broken)
    }


def standing_attempts(store: Store, place: RunPlace) -> Standing:
    """The attempts with artifacts of each (step, task), those of the latest epoch first."""
    prefix = f"{place.root}e"
    attempts: dict[tuple[str, str], list[TaskKey]] = {}
    for each in store.list(prefix):
        parts = each.key.removeprefix(prefix).split("/")
        if parts[-1] == "artifacts.json" and len(parts) == 5:
            epoch, step, task, attempt, _ = parts
            key = TaskKey(int(epoch), step, task, int(attempt))
            attempts.setdefault((step, task), []).append(key)
    return {name: sorted(keys, reverse=True) for name, keys in attempts.items()}


def fitting(
    store: Store,
    place: RunPlace,
    wave: Sequence[Ready],
    standing: Standing,
    fits: Callable[[Ready, TaskRecord], bool],
) -> Iterator[tuple[Ready, TaskRecord]]:
    """For each task of a wave that has one, the first of its attempts that fits it."""
    candidates = [standing.get((ready.step, ready.task), ()) for ready in wave]
    keys = [key for each in candidates for key in each]
    records = dict(zip(keys, read_tasks(store, place, keys), strict=True))
    for ready, each in zip(wave, candidates, strict=True):
        found = next((records[key] for key in each if fits(ready, records[key])), None)
        if found is not None:
            yield ready, found


def goes_on(schedule: Schedule, record: TaskRecord) -> bool:
    """Whether an attempt went where the graph of the schedule leads."""
    return schedule.allows(record.key.step, record.next_steps, record.splits)
