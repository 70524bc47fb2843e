"""Which attempts of a run people are shown: those that count, those at work, those that were lost.

An attempt is in the store when it has ended, and before that once it has printed something after
its first second (`store/live_output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.context import world
from eventflow.errors import NotFound
from eventflow.store.attempts import attempt_of, attempts_of, attempts_of_task
from eventflow.store.live_output import live_attempts, unended
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace

__all__ = ["latest_attempt", "numbered_attempt", "shown_attempts"]


def latest_attempt(place: RunPlace, step: str, task: str) -> TaskKey:
    """The attempt of a task that counts; of a task that has none yet, the one at work.

    Raises:
        NotFound: nothing is known of the task.
    """
    try:
        return attempt_of(world().store, place, step, task)
    except NotFound:
        live = live_attempts(world().store, place, step, task)
        if not live:
            raise
        return live[-1]


def numbered_attempt(place: RunPlace, step: str, task: str, number: int) -> TaskKey:
    """The attempt of a task with a number; of several epochs the last one.

    Raises:
        NotFound: it has none of that number.
    """
    store = world().store
    known = attempts_of_task(store, place, step, task) + live_attempts(store, place, step, task)
    found = [key for key in known if key.attempt == number]
    if not found:
        numbers = ", ".join(map(str, sorted({key.attempt for key in known}))) or "none"
        raise NotFound(
            f"{place.flow}/{place.run_id}/{step}/{task} has no attempt {number} that has ended; it"
            f" has: {numbers}."
        )
    return max(found)


def shown_attempts(
    place: RunPlace, step: str | None, task: str | None, number: int | None
) -> tuple[list[TaskKey], list[TaskKey]]:
    """One attempt of each task, in the order of the graph and of the tasks: those that have
    ended, and those that have not. With `number` that one, where a task has several.

    Raises:
        NotFound: a task has none of that number.
    """
    store = world().store
    latest: dict[tuple[str, str], TaskKey] = {}
    for name in (each.name for each in read_run(store, place).graph.steps):
        if step in (None, name):
            counting = attempts_of(store, place, name)
            latest.update({(name, key.task): key for key in counting if task in (None, key.task)})
    at_work = set(unended(store, place, step, task))
    for key in sorted(at_work):
        before = latest.get((key.step, key.task))
        if before is None or before < key:
            latest[key.step, key.task] = key
    shown = list(latest.values())
    if number is not None:
        shown = [numbered_attempt(place, key.step, key.task, number) for key in shown]
    return [key for key in shown if key not in at_work], [key for key in shown if key in at_work]
