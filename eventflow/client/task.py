"""`Task`: one execution of a step, and what it left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventflow.client.artifacts import Artifacts, DataArtifact, TaskData, record_of
from eventflow.client.attempts import latest_attempt, numbered_attempt
from eventflow.client.code import code_of, environment_of
from eventflow.client.facts import Metadata, facts_of
from eventflow.client.named import Named
from eventflow.client.printed import origin_of, printed, printed_lines
from eventflow.client.scope import locate_run
from eventflow.client.task_names import are_in_line, index_of
from eventflow.context import world
from eventflow.errors import NotFound, ObjectMissing
from eventflow.store.artifacts import find_tasks, read_task
from eventflow.store.attempts import attempts_of
from eventflow.store.failures import TaskFailure, read_failure
from eventflow.store.live_output import STREAMS
from eventflow.store.runs import read_end, read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.client.code import Code
    from eventflow.model.task import TaskKey
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace

__all__ = ["Task"]


class Task(Named):
    """One task, by the attempt of it that counts. `Task("Flow/run/step/task")`.

    `Task("Flow/run/step/task", attempt=0)` is another attempt of it.
    """

    __slots__ = ("_key",)

    def __init__(self, pathspec: str, attempt: int | None = None) -> None:
        """Find it. One at work is found once it has printed something that can be seen.

        Raises:
            NotFound: there is no such run, task or attempt, or nothing is known of it yet.
        """
        place, (step, task) = locate_run(pathspec, below=2)
        super().__init__(place, step, task)
        if attempt is None:
            self._key = latest_attempt(place, step, task)
        else:
            self._key = numbered_attempt(place, step, task, attempt)

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
    def card_prefix(self) -> str:
        """What the keys of its cards in the store begin with; see `eventflow.cards.get_cards`."""
        return self._place.card_prefix(self._key)

    @property
    def index(self) -> int | None:
        """Which item of the innermost foreach it is for, from 0; None outside of any."""
        return index_of(self.id)

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
    def exception(self) -> TaskFailure | None:
        """Why it failed: `reason` in one line, `traceback` in several; None when it did not. Of
        one that was lost with all its processes, what became of its run."""
        if self.successful:
            return None
        said = read_failure(world().store, self._place, self._key)
        return said if said is not None else self._lost()

    @property
    def created_at(self) -> datetime | None:
        """When the attempt began, aware UTC; None while it has not succeeded."""
        record = self._record()
        return record.started_at if record else None

    @property
    def finished_at(self) -> datetime | None:
        """When it ended, aware UTC; None while it has not succeeded."""
        record = self._record()
        return record.finished_at if record else None

    # ── what it printed ──────────────────────────────────────────────────────

    @property
    def stdout(self) -> str:
        """What it printed, or the task that it was cloned from. Of one that is at work for more
        than a second what it has printed so far; of one that was lost with all its processes what
        was seen of it until then."""
        return self._output("stdout")

    @property
    def stderr(self) -> str:
        """What it printed to stderr, and the traceback when it failed."""
        return self._output("stderr")

    @property
    def stdout_size(self) -> int:
        """Bytes of its stdout in the store, once it has ended; nothing else is read."""
        return self._output_size("stdout")

    @property
    def stderr_size(self) -> int:
        """Bytes of its stderr in the store; nothing else is read."""
        return self._output_size("stderr")

    def loglines(
        self,
        stream: str,
        as_unicode: bool = True,
        meta_dict: object = None,  # noqa: ARG002 - Metaflow's signature
    ) -> Iterator[tuple[datetime, str] | tuple[datetime, bytes]]:
        """The lines of `stdout` or `stderr`, without their ends, each behind a time, aware UTC: by
        then it had been printed. Of a task that ran for less than a second that is its end.

        `meta_dict` is there for code written for Metaflow; nothing is read from it.
        """
        if stream not in STREAMS:
            raise NotFound(f"A task has no stream {stream!r}; it has: {', '.join(STREAMS)}.")
        for at, line in printed_lines(self._place, self._key, stream):
            yield (at, line.decode(errors="replace")) if as_unicode else (at, line)

    # ── around it ────────────────────────────────────────────────────────────

    @property
    def parent_tasks(self) -> Iterator[Task]:
        """The tasks that it read from, in the order of the graph: one read.

        Raises:
            NotFound: it has not succeeded.
        """
        for key in record_of(self._place, self._key).inputs:
            yield Task.at(self._place, key)

    @property
    def child_tasks(self) -> Iterator[Task]:
        """The tasks that read from it and have succeeded, in the order of graph and numbers.

        The names of the tasks of the next steps are listed; of those that can come from this
        one, each is read.
        """
        store = world().store
        for step in read_run(store, self._place).graph.step(self._key.step).next_steps:
            keys = attempts_of(store, self._place, step)
            keys = tuple(key for key in keys if are_in_line(self.id, key.task))
            for record in find_tasks(store, self._place, keys):
                if record is not None and self._key in record.inputs:
                    yield Task.at(self._place, record.key)

    @property
    def parent_task_pathspecs(self) -> Iterator[str]:
        """The pathspecs of `parent_tasks`."""
        return (task.pathspec for task in self.parent_tasks)

    @property
    def child_task_pathspecs(self) -> Iterator[str]:
        """The pathspecs of `child_tasks`."""
        return (task.pathspec for task in self.child_tasks)

    @property
    def metadata(self) -> list[Metadata]:
        """What else is known of the attempt, as names and texts."""
        return facts_of(self._place, self._key, self._record(), self.pathspec)

    @property
    def metadata_dict(self) -> dict[str, str]:
        """The same, by name."""
        return {each.name: each.value for each in self.metadata}

    @property
    def runtime_name(self) -> str:
        """What executed it: `eventflow` a requested run, `dev` a run by hand."""
        request = read_run(world().store, self._place).request
        return "eventflow" if request.version > 0 else "dev"

    @property
    def code(self) -> Code | None:
        """The code package of its run; None of a run by hand."""
        return code_of(self._place)

    @property
    def environment_info(self) -> dict[str, str]:
        """What its run was started or deployed with: user, versions, script, code."""
        return environment_of(self._place)

    def __getitem__(self, name: str) -> DataArtifact:
        return self.artifacts[name]

    def __iter__(self) -> Iterator[DataArtifact]:
        return iter(self.artifacts)

    def __contains__(self, name: object) -> bool:
        record = self._record()
        return record is not None and name in record.artifacts

    def _origin(self) -> str | None:
        record = self._record()
        return record.origin or None if record else None

    def _lost(self) -> TaskFailure | None:
        """What is known of an attempt that could not say why it ended; None while it may."""
        run: Any = self.parent.parent
        if not run.finished:
            return None
        reason = "it was lost with its processes, before it could say why"
        return TaskFailure(f"{reason}; of the run: {run.reason}", "")

    def _record(self) -> TaskRecord | None:
        try:
            return read_task(world().store, self._place, self._key)
        except ObjectMissing:
            return None

    def _output(self, stream: str) -> str:
        return printed(self._place, self._key, stream).decode(errors="replace")

    def _output_size(self, stream: str) -> int:
        store = world().store
        place, key = origin_of(self._place, self._key)
        found = store.info(place.output(key, stream))
        return found.size_bytes if found else 0
