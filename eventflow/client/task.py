"""`Task`: one execution of a step, and what it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.client.artifacts import Artifacts, DataArtifact, TaskData, record_of
from eventflow.client.named import Named
from eventflow.client.scope import locate_run
from eventflow.context import world
from eventflow.errors import ObjectMissing
from eventflow.store.attempts import attempt_of
from eventflow.store.runs import read_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace

__all__ = ["Task"]


class Task(Named):
    """One task, by the attempt of it that counts. `Task("Flow/run/step/task")`."""

    __slots__ = ("_key",)

    def __init__(self, pathspec: str) -> None:
        """Find it.

        Raises:
            NotFound: there is no such run or task, or the task is still at work.
        """
        place, (step, task) = locate_run(pathspec, below=2)
        super().__init__(place, step, task)
        self._key = attempt_of(world().store, place, step, task)

    @classmethod
    def at(cls, place: RunPlace, key: TaskKey) -> Task:
        """The task of an attempt."""
        task = cls.__new__(cls)
        Named.__init__(task, place, key.step, key.task)
        task._key = key
        return task

    @property
    def current_attempt(self) -> int:
        """The number of the attempt, from 0."""
        return self._key.attempt

    @property
    def artifacts(self) -> Artifacts:
        """What it left, each as a `DataArtifact`: `task.artifacts.model`, or a loop.

        Raises:
            NotFound: it has not succeeded.
        """
        return Artifacts(self._place, record_of(self._place, self._key))

    @property
    def data(self) -> TaskData:
        """The values of its artifacts: `task.data.model`.

        Raises:
            NotFound: it has not succeeded.
        """
        return TaskData(self.artifacts)

    @property
    def successful(self) -> bool:
        """Whether its artifacts stand."""
        return world().store.info(self._place.artifacts(self._key)) is not None

    @property
    def finished(self) -> bool:
        """Whether nothing will be added to it."""
        return self.successful or read_end(world().store, self._place) is not None

    @property
    def created_at(self) -> datetime | None:
        """When the attempt began, aware UTC; None while it has not succeeded."""
        return record_of(self._place, self._key).started_at if self.successful else None

    @property
    def finished_at(self) -> datetime | None:
        """When it ended, aware UTC; None while it has not succeeded."""
        return record_of(self._place, self._key).finished_at if self.successful else None

    @property
    def stdout(self) -> str:
        """What it printed; empty while it is at work."""
        return self._output("stdout")

    @property
    def stderr(self) -> str:
        """What it printed to stderr, and the traceback when it failed."""
        return self._output("stderr")

    def __getitem__(self, name: str) -> DataArtifact:
        return self.artifacts[name]

    def __iter__(self) -> Iterator[DataArtifact]:
        return iter(self.artifacts)

    def _output(self, name: str) -> str:
        try:
            return world().store.get(self._key_of(name)).decode(errors="replace")
        except ObjectMissing:
            return ""

    def _key_of(self, name: str) -> str:
        key = self._key
        return self._place.attempt(key.epoch, key.step, key.task, key.attempt) + name
