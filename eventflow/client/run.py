"""`Run`: one execution of a flow."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.client.code import code_of
from eventflow.client.named import Named
from eventflow.client.scope import locate_run
from eventflow.client.step import Step
from eventflow.client.task import Task
from eventflow.client.triggered import Triggered
from eventflow.context import world
from eventflow.errors import ItemMissing, NotFound
from eventflow.model.run import RunState
from eventflow.store.attempts import steps_with_attempts
from eventflow.store.causes import causes_of
from eventflow.store.runs import read_end, read_run
from eventflow.store.tags import change_tags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from eventflow.client.artifacts import TaskData
    from eventflow.client.code import Code
    from eventflow.model.graph import FlowGraph
    from eventflow.store.layout import RunPlace

__all__ = ["Run"]

_LONGEST_SILENCE = timedelta(seconds=30)


class Run(Named):
    """One run. `Run("Flow/run")`, of whose id 6 characters are enough when they are unique."""

    __slots__ = ()

    def __init__(self, pathspec: str) -> None:
        """Find it.

        Raises:
            NotFound: there is no such flow or run where the client looks.
            Ambiguous: several runs have such an id; the message lists them.
        """
        place, _ = locate_run(pathspec)
        super().__init__(place)

    @classmethod
    def at(cls, place: RunPlace) -> Run:
        """The run of that place, wherever the client looks."""
        run = cls.__new__(cls)
        Named.__init__(run, place)
        return run

    @property
    def state(self) -> RunState:
        """`running`, or how it ended: `succeeded`, `failed`, `cancelled`.

        A run by hand whose process stopped without an end is `failed`. A requested run that no
        runner has begun is not in the store; `eventflow runs` shows it as `queued`.
        """
        end = read_end(world().store, self._place)
        if end is None and not self._shows_life():
            end = read_end(world().store, self._place)  # it may have ended since
            return RunState(end.outcome.value) if end else RunState.FAILED
        return RunState(end.outcome.value) if end else RunState.RUNNING

    @property
    def successful(self) -> bool:
        """Whether it ended well."""
        return self.state is RunState.SUCCEEDED

    @property
    def finished(self) -> bool:
        """Whether it ended, in whichever way."""
        return self.state not in (RunState.QUEUED, RunState.RUNNING)

    @property
    def created_at(self) -> datetime:
        """When it was requested, aware UTC."""
        return read_run(world().store, self._place).request.requested_at

    @property
    def finished_at(self) -> datetime | None:
        """When it ended, aware UTC; None while it has not, or when its process just stopped."""
        end = read_end(world().store, self._place)
        return end.ended_at if end else None

    @property
    def reason(self) -> str:
        """In one line why it did not succeed; empty otherwise."""
        end = read_end(world().store, self._place)
        if end is not None:
            return end.reason
        return "its process stopped" if self.state is RunState.FAILED else ""

    @property
    def version(self) -> int:
        """The version of the deployment; 0 of a run by hand."""
        return read_run(world().store, self._place).request.version

    @property
    def trigger(self) -> Triggered | None:
        """What started it; None when nobody but a person did."""
        request = read_run(world().store, self._place).request
        causes = causes_of(world().store, request)
        return Triggered(causes, Run.at) if causes else None

    @property
    def end_task(self) -> Task | None:
        """Its task of the last step; None when it did not succeed, or not yet."""
        end = read_end(world().store, self._place)
        key = end.manifest.get(f"{self._graph().end}/0") if end else None
        return Task.at(self._place, key) if key else None

    @property
    def data(self) -> TaskData:
        """Its results: the values of the artifacts of its last step.

        Raises:
            NotFound: it did not succeed, or not yet.
        """
        task = self.end_task
        if task is None:
            raise NotFound(
                f"{self.pathspec} has no results: it is {self.state}. What its steps made is at"
                f" Run('{self.namespace}/{self.pathspec}')['<step>'].task.data."
            )
        return task.data

    @property
    def code(self) -> Code | None:
        """The code package that it was deployed with; None of a run by hand."""
        return code_of(self._place)

    def add_tag(self, tag: str) -> None:
        """Hang a tag on it, which `Flow.runs(tag)` finds it by. There already: nothing happens.

        Raises:
            InvalidTag: it cannot be one, or there would be more than 50.
        """
        self.add_tags([tag])

    def add_tags(self, tags: Iterable[str]) -> None:
        """Hang several on it, in one change. See `add_tag`."""
        self._change_tags(add=tags)

    def remove_tag(self, tag: str) -> None:
        """Take a tag away. Not there: nothing happens.

        Raises:
            InvalidTag: it is a system tag.
        """
        self.remove_tags([tag])

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Take several away, in one change. See `remove_tag`."""
        self._change_tags(remove=tags)

    def replace_tag(self, tag_to_remove: str, tag_to_add: str) -> None:
        """Take one away and hang another on it, in one change: nobody sees it with neither."""
        self.replace_tags([tag_to_remove], [tag_to_add])

    def replace_tags(self, tags_to_remove: Iterable[str], tags_to_add: Iterable[str]) -> None:
        """The same with several. One that is in both stays."""
        self._change_tags(add=tags_to_add, remove=tags_to_remove)

    def steps(self) -> Iterator[Step]:
        """Its steps of which a task has ended, in the order of the graph."""
        begun = steps_with_attempts(world().store, self._place)
        for node in self._graph().steps:
            if node.name in begun:
                yield Step.at(self._place, node.name)

    def __iter__(self) -> Iterator[Step]:
        return self.steps()

    def __getitem__(self, step: str) -> Step:
        if step not in self:
            there = ", ".join(each.id for each in self.steps()) or "none"
            raise ItemMissing(
                f"{self.pathspec} has no step {step!r} that has begun; it has: {there}."
            )
        return Step.at(self._place, step)

    def __contains__(self, step: object) -> bool:
        return any(node.name == step for node in self._graph().steps)

    def _change_tags(self, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        change_tags(world().store, self._place, world().effects.ids, add=add, remove=remove)

    def _graph(self) -> FlowGraph:
        return read_run(world().store, self._place).graph

    def _shows_life(self) -> bool:
        """Whether somebody still works on it. A runner's lease is not in the store: for the
        store alone a requested run without an end is running."""
        store = world().store
        if read_run(store, self._place).request.version > 0:
            return True
        marks = list(store.list(f"{self._place.epoch(1)}alive/"))
        last = marks[-1] if marks else store.info(self._place.run)
        if last is None or last.modified_at is None:
            return False
        return world().effects.clock.now() - last.modified_at < _LONGEST_SILENCE
