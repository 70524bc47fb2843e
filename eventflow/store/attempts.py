"""Which attempt of a task counts: that of the manifest of the run's end, else the latest.

The store knows of an attempt when it ended; one at work has nothing there yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.errors import NotFound
from eventflow.model.task import TaskKey
from eventflow.store.runs import read_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = ["attempt_of", "attempts_of", "steps_with_attempts"]


def attempts_of(store: Store, place: RunPlace, step: str) -> tuple[TaskKey, ...]:
    """The attempt that counts of each task of a step, in the order of the tasks' names."""
    latest = {key.task: key for key in sorted(_attempts(store, place, step))}
    end = read_end(store, place)
    if end is not None:
        latest.update({key.task: key for key in end.manifest.values() if key.step == step})
    return tuple(latest[task] for task in sorted(latest))


def attempt_of(store: Store, place: RunPlace, step: str, task: str) -> TaskKey:
    """The attempt that counts of one task.

    Raises:
        NotFound: the run has no such task, or it is still at work.
    """
    for key in attempts_of(store, place, step):
        if key.task == task:
            return key
    raise NotFound(f"{place.flow}/{place.run_id} has no task {step}/{task} that has ended.")


def steps_with_attempts(store: Store, place: RunPlace) -> frozenset[str]:
    """The names below the epochs of a run; more than steps: the marks of life are there too."""
    folders = [
        each for epoch in _epochs(store, place) for each in _folders(store, place.epoch(epoch))
    ]
    return frozenset(folders)


def _attempts(store: Store, place: RunPlace, step: str) -> Iterator[TaskKey]:
    for epoch in _epochs(store, place):
        root = f"{place.epoch(epoch)}{step}/"
        for each in store.list(root):
            task, attempt, _ = each.key.removeprefix(root).split("/")
            yield TaskKey(epoch, step, task, int(attempt))


def _epochs(store: Store, place: RunPlace) -> Iterator[int]:
    for name in _folders(store, f"{place.root}e"):
        yield int(name)


def _folders(store: Store, prefix: str) -> Iterator[str]:
    for each in store.list(prefix, folders=True):
        if each.is_folder:
            yield each.key.removeprefix(prefix).rstrip("/")
