"""`Step`: the tasks of one step of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.client.named import Named
from eventflow.client.scope import locate_run
from eventflow.client.task import Task
from eventflow.context import world
from eventflow.errors import NotFound
from eventflow.store.attempts import attempts_of
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.store.layout import RunPlace

__all__ = ["Step"]


class Step(Named):
    """One step of a run. `Step("Flow/run/step")`."""

    __slots__ = ()

    def __init__(self, pathspec: str) -> None:
        """Find it.

        Raises:
            NotFound: there is no such run, or its flow has no such step.
        """
        place, (step,) = locate_run(pathspec, below=1)
        steps = [node.name for node in read_run(world().store, place).graph.steps]
        if step not in steps:
            raise NotFound(f"{place.flow} has no step {step!r}; it has: {', '.join(steps)}.")
        super().__init__(place, step)

    @classmethod
    def at(cls, place: RunPlace, name: str) -> Step:
        """The step of that name."""
        step = cls.__new__(cls)
        Named.__init__(step, place, name)
        return step

    @property
    def task(self) -> Task:
        """Its task; the first, when it has several.

        Raises:
            NotFound: none has ended yet.
        """
        for task in self.tasks():
            return task
        raise NotFound(f"No task of {self.pathspec} has ended yet.")

    def tasks(self) -> Iterator[Task]:
        """Its tasks that have ended, in the order of their ids."""
        for key in attempts_of(world().store, self._place, self.id):
            yield Task.at(self._place, key)

    @property
    def finished_at(self) -> datetime | None:
        """When its last task succeeded; None while one of them has not."""
        ends = [task.finished_at for task in self.tasks()]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def __iter__(self) -> Iterator[Task]:
        return self.tasks()

    def __getitem__(self, task: str) -> Task:
        for each in self.tasks():
            if each.id == task:
                return each
        raise KeyError(task)
