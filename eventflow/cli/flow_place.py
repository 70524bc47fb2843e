"""The runs of a flow, as its own commands name them: RUN, RUN/STEP, RUN/STEP/TASK."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from eventflow.cli.existing import existing_world
from eventflow.errors import InvalidName, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.cli.flow_target import Target
    from eventflow.client.run import Run
    from eventflow.client.step import Step
    from eventflow.client.task import Task
    from eventflow.context import World
    from eventflow.store.layout import RunPlace

__all__ = ["Part", "latest_or_named", "look", "part_of"]

_TASK = re.compile(r"0(\.\d+)?(-\d+(\.\d+)?)*")  # see model.task.TaskKey
_MOST_SHOWN = 5


def look(target: Target) -> World:
    """The world of a command that reads. It looks everywhere, or in the branch that `--branch`
    and `--production` name.

    Raises:
        NotFound: there is no state yet.
    """
    from eventflow import context
    from eventflow.client.scope import namespace

    world = existing_world()
    is_chosen = target.branch is not None or target.is_production
    home = str(target.namespace(is_deploy=False)) if is_chosen else None
    context.use(world)
    namespace(home)
    return world


class Part:
    """A run, a step of it, or a task, named on the command line."""

    def __init__(self, run: Run, step: str | None, task: str | None) -> None:
        self.run, self.step, self.task = run, step, task

    @property
    def place(self) -> RunPlace:
        """Where its run lies.

        Raises:
            NotFound: the run has no such step.
        """
        from eventflow.client.step import Step
        from eventflow.store.layout import RunPlace

        if self.step is not None:
            Step(f"{self.run.namespace}/{self.run.pathspec}/{self.step}")
        return RunPlace(self.run.namespace, self.run.path_components[0], self.run.id)

    def tasks(self) -> Sequence[Task]:
        """The tasks that have ended, in the order of the graph; of a task that may still come
        nothing.

        Raises:
            NotFound: the run has no such step, or no such task and will have none.
        """
        from eventflow.client.step import Step

        if self.step is None:
            return [task for step in self.run.steps() for task in step.tasks()]
        step = Step(f"{self.run.namespace}/{self.run.pathspec}/{self.step}")
        if self.task is None:
            return list(step.tasks())
        if self.task in step:
            return [step[self.task]]
        if _TASK.fullmatch(self.task) and not self.run.finished:
            return []
        raise NotFound(_no_task(step, self.task))


def _no_task(step: Step, task: str) -> str:
    ended = [each.id for each in islice(step.tasks(), _MOST_SHOWN + 1)]
    shown = ", ".join(ended[:_MOST_SHOWN] + ["…"][: len(ended) - _MOST_SHOWN])
    there = f"those that have ended are {shown}" if ended else "none has ended"
    return f"Step {step.id!r} of run {step.path_components[1]} has no task {task!r}; {there}."


def part_of(target: Target, text: str, *, least: int = 1) -> Part:
    """What `RUN/STEP/TASK` names, of which at least so many parts are given; the flow's name may
    stand before them.

    Raises:
        InvalidName: it has another shape.
        NotFound, Ambiguous: there is no such run, or several.
    """
    from eventflow.client.run import Run

    flow = target.flow_class.__name__
    parts = text.removeprefix(f"{flow}/").split("/")
    if not (least <= len(parts) <= 3 and all(parts)):
        shape = "RUN/STEP, or RUN/STEP/TASK" if least > 1 else "RUN, RUN/STEP, or RUN/STEP/TASK"
        raise InvalidName(f"{text!r} names nothing here: it is written {shape}.")
    run, step, task = (*parts, None, None)[:3]
    return Part(Run(f"{flow}/{run}"), step, task)


def latest_or_named(target: Target, run_id: str | None) -> Run:
    """The run whose id begins so; without one, the latest run of the flow.

    Raises:
        NotFound, Ambiguous: there is no such run, or several.
    """
    from eventflow.client.flow import Flow

    flow = target.flow_class.__name__
    if run_id is not None:
        return part_of(target, run_id).run
    latest = Flow(flow).latest_run
    if latest is None:
        raise NotFound(f"{flow} has no run yet.")
    return latest
