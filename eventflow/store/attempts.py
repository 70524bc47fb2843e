"""Which attempt of a task counts: that of the manifest of the run's end, else the latest.

The store knows of an attempt when it ended; one at work has nothing there yet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventflow.errors import NotFound
from eventflow.model.task import TaskKey
from eventflow.store.runs import read_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = [
    "attempt_of",
    "attempts_of",
    "attempts_of_task",
    "ended_attempts",
    "in_order_of_tasks",
    "steps_with_attempts",
]

_NUMBER = re.compile(r"(\d+)")
_PARTS = 4
_SAID_LAST = ("artifacts.json", "failure.json")


def in_order_of_tasks(task: str) -> tuple[tuple[int, int, str], ...]:
    """The key that sorts names of tasks by their numbers: `0-9` before `0-10`, `0` before `0.1`."""
    pieces = _NUMBER.split(task)
    return tuple((1, int(each), "") if each.isdecimal() else (0, 0, each) for each in pieces)


def attempts_of(store: Store, place: RunPlace, step: str) -> tuple[TaskKey, ...]:
    """The attempt that counts of each task of a step, in the order of the tasks' numbers."""
    latest = {key.task: key for key in sorted(_attempts(store, place, step))}
    end = read_end(store, place)
    if end is not None:
        latest.update({key.task: key for key in end.manifest.values() if key.step == step})
    return tuple(latest[task] for task in sorted(latest, key=in_order_of_tasks))


def attempt_of(store: Store, place: RunPlace, step: str, task: str) -> TaskKey:
    """The attempt that counts of one task, however many the step has.

    Raises:
        NotFound: the run has no such task, or it is still at work.
    """
    end = read_end(store, place)
    counts = end.manifest.get(f"{step}/{task}") if end else None
    latest = counts or max(_attempts(store, place, step, task), default=None)
    if latest is None:
        raise NotFound(f"{place.flow}/{place.run_id} has no task {step}/{task} that has ended.")
    return latest


def attempts_of_task(store: Store, place: RunPlace, step: str, task: str) -> tuple[TaskKey, ...]:
    """All attempts of one task that have ended, oldest first; over all epochs."""
    return tuple(sorted(set(_attempts(store, place, step, task))))


def ended_attempts(
    store: Store, place: RunPlace, step: str | None = None, task: str | None = None
) -> set[TaskKey]:
    """The attempts that have said how they ended, over all epochs; of a step, or a task of it,
    when one is given."""
    if step is not None:
        found = _objects(store, place, step, task)
        return {key for key, name in found if name in _SAID_LAST}
    ended = set()
    for epoch in _epochs(store, place):
        root = place.epoch(epoch)
        for each in store.list(root):
            parts = each.key.removeprefix(root).split("/")
            if len(parts) == _PARTS and parts[-1] in _SAID_LAST:
                ended.add(TaskKey(epoch, parts[0], parts[1], int(parts[2])))
    return ended


def steps_with_attempts(store: Store, place: RunPlace) -> frozenset[str]:
    """The names below the epochs of a run; more than steps: the marks of life are there too."""
    folders = [
        each for epoch in _epochs(store, place) for each in _folders(store, place.epoch(epoch))
    ]
    return frozenset(folders)


def _attempts(
    store: Store, place: RunPlace, step: str, task: str | None = None
) -> Iterator[TaskKey]:
    """Those of one step, or of one of its tasks; each as often as it has objects."""
    return (key for key, _ in _objects(store, place, step, task))


def _objects(
    store: Store, place: RunPlace, step: str, task: str | None
) -> Iterator[tuple[TaskKey, str]]:
    for epoch in _epochs(store, place):
        root = f"{place.epoch(epoch)}{step}/"
        for each in store.list(root if task is None else f"{root}{task}/"):
            name, attempt, object_name = each.key.removeprefix(root).split("/")
            yield TaskKey(epoch, step, name, int(attempt)), object_name


def _epochs(store: Store, place: RunPlace) -> Iterator[int]:
    for name in _folders(store, f"{place.root}e"):
        yield int(name)


def _folders(store: Store, prefix: str) -> Iterator[str]:
    for each in store.list(prefix, folders=True):
        if each.is_folder:
            yield each.key.removeprefix(prefix).rstrip("/")
