"""Which tasks of a run need not run again: those whose artifacts stand already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.task import TaskKey
from eventflow.store.artifacts import read_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventflow.model.schedule import Ready, Schedule
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

    Standing = Mapping[tuple[str, str], Sequence[TaskKey]]

__all__ = ["standing_attempts", "take_up"]


def take_up(schedule: Schedule, store: Store, place: RunPlace) -> None:
    """Bring a new schedule to where the run has come: one execution, not a mixture.

    An attempt only counts when it read from the very attempts that count of the tasks before it:
    a late one of a zombie may have read from others. A gang counts as a whole. One listing, and
    one read for each attempt, those of tasks that lie side by side in parallel.
    """
    standing = standing_attempts(store, place)
    missing: list[Ready] = []
    while wave := tuple(iter(schedule.take, None)):
        found = _found(schedule, store, place, wave, standing)
        for ready in wave:
            record = found.get((ready.step, ready.task))
            if record is None:
                missing.append(ready)
            else:
                schedule.succeeded(record.key, record.next_steps, record.splits)
    schedule.give_back(tuple(missing))


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


def _found(
    schedule: Schedule, store: Store, place: RunPlace, wave: Sequence[Ready], standing: Standing
) -> dict[tuple[str, str], TaskRecord]:
    """What counts of the tasks of a wave, by (step, task)."""
    names = [(ready.step, ready.task) for ready in wave]
    keys = [key for name in names for key in standing.get(name, ())]
    records = dict(zip(keys, read_tasks(store, place, keys), strict=True))
    found = {}
    for ready, name in zip(wave, names, strict=True):
        fitting = (records[key] for key in standing.get(name, ()))
        record = next((each for each in fitting if _fits(schedule, ready, each)), None)
        if record is not None:
            found[name] = record
    broken = {r.inputs for r in wave if r.is_in_gang and (r.step, r.task) not in found}
    for ready in wave:
        if ready.is_in_gang and ready.inputs in broken:
            found.pop((ready.step, ready.task), None)
    return found


def _fits(schedule: Schedule, ready: Ready, record: TaskRecord) -> bool:
    goes_on = schedule.allows(ready.step, record.next_steps, record.splits)
    return record.inputs == ready.inputs and goes_on
