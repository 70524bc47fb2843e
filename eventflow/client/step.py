"""`Step`: the tasks of one step of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.client.code import environment_of
from eventflow.client.named import Named
from eventflow.client.scope import locate_run
from eventflow.client.task import Task
from eventflow.context import world
from eventflow.errors import ItemMissing, NotFound
from eventflow.model.graph import StepKind
from eventflow.store.artifacts import find_tasks
from eventflow.store.attempts import attempt_of, attempts_of, steps_with_attempts
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from eventflow.model.graph import FlowGraph
    from eventflow.store.artifacts import TaskRecord
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
        """Its tasks that have ended, in the order of their numbers."""
        for key in attempts_of(world().store, self._place, self.id):
            yield Task.at(self._place, key)

    @property
    def control_task(self) -> Task | None:
        """Of a gang, the task that leads it: index 0; None of other steps, or while it is at
        work."""
        return next(self.control_tasks(), None)

    def control_tasks(self) -> Iterator[Task]:
        """The leading task of each gang; nothing of a step that is none."""
        graph = self._graph()
        if any(graph.step(each).kind is StepKind.PARALLEL for each in graph.parents(self.id)):
            yield from (task for task in self.tasks() if task.index == 0)

    @property
    def parent_steps(self) -> Iterator[Step]:
        """The steps that lead to it and have begun, in the order of the graph."""
        return self._begun(self._graph().parents(self.id))

    @property
    def child_steps(self) -> Iterator[Step]:
        """The steps that it leads to and that have begun, in the order of the graph."""
        return self._begun(self._graph().step(self.id).next_steps)

    @property
    def environment_info(self) -> dict[str, str]:
        """What its run was started or deployed with: user, versions, script, code."""
        return environment_of(self._place)

    @property
    def created_at(self) -> datetime | None:
        """When its first task began; None while none has succeeded. Reads each task."""
        begun = (record.started_at for record in self._records() if record)
        return min(begun, default=None)

    @property
    def finished_at(self) -> datetime | None:
        """When its last task succeeded; None while one of them has not. Reads each task."""
        records = list(self._records())
        ends = [record.finished_at for record in records if record]
        return max(ends) if ends and len(ends) == len(records) else None

    def __iter__(self) -> Iterator[Task]:
        return self.tasks()

    def __getitem__(self, task: str) -> Task:
        try:
            return Task.at(self._place, attempt_of(world().store, self._place, self.id, task))
        except NotFound as error:
            raise ItemMissing(str(error)) from error

    def __contains__(self, task: object) -> bool:
        if not isinstance(task, str):
            return False
        try:
            return bool(attempt_of(world().store, self._place, self.id, task))
        except NotFound:
            return False

    def _records(self) -> Iterator[TaskRecord | None]:
        """What each of its tasks left; read in parallel where that helps."""
        keys = attempts_of(world().store, self._place, self.id)
        return find_tasks(world().store, self._place, keys)

    def _origin(self) -> str | None:
        first = next(self.tasks(), None)
        return first._origin() if first else None

    def _graph(self) -> FlowGraph:
        return read_run(world().store, self._place).graph

    def _begun(self, names: Iterable[str]) -> Iterator[Step]:
        begun = steps_with_attempts(world().store, self._place)
        return (Step.at(self._place, name) for name in names if name in begun)
