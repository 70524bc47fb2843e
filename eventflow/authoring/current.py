"""`current`: what a step can know of the run that it is part of."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getuser
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from eventflow.authoring.members import parameters_of
from eventflow.client.run import Run
from eventflow.client.scope import looking_from
from eventflow.client.triggered import Triggered
from eventflow.context import world
from eventflow.errors import CardMissing
from eventflow.model.deployment import ParameterType
from eventflow.model.graph import StepKind
from eventflow.model.namespace import Namespace
from eventflow.store.causes import causes_of
from eventflow.store.tags import tags_at_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.cards.board import CardBoard
    from eventflow.model.offset import Offset
    from eventflow.model.task import TaskPlan

__all__ = ["Current", "Parallel", "Running", "current", "running"]

_LOOPBACK = "127.0.0.1"  # all tasks of a gang run on one machine


@dataclass(frozen=True, slots=True)
class Running:
    """The task at work in this process. `published` fills up with the offsets of its events,
    `numbers` counts the events that it makes, `board` has its cards where it has any."""

    task: TaskPlan
    parameter_names: tuple[str, ...] = ()
    board: CardBoard | None = None
    published: list[Offset] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)


class Parallel(NamedTuple):
    """A gang of tasks that run at the same time: where its first task is, how many they are,
    which of them this is, from 0, and the name of the first one."""

    main_ip: str
    num_nodes: int
    node_index: int
    control_task_id: str


class Current:
    """The task at work in this process. Outside of a task everything is None, and
    `is_running_flow` false. `current.get(name)` and `name in current` work too."""

    def __init__(self) -> None:
        self._running: Running | None = None

    @property
    def is_running_flow(self) -> bool:
        """Whether a task runs in this process."""
        return self._running is not None

    @property
    def flow_name(self) -> str | None:
        """The name of the flow."""
        return self._running.task.run.request.flow if self._running else None

    @property
    def run_id(self) -> str | None:
        """The whole id of the run."""
        return self._running.task.run.request.run_id if self._running else None

    @property
    def step_name(self) -> str | None:
        """The step."""
        return self._running.task.key.step if self._running else None

    @property
    def task_id(self) -> str | None:
        """The task: its position in the graph, `0` for a plain step."""
        return self._running.task.key.task if self._running else None

    @property
    def retry_count(self) -> int | None:
        """How many attempts of the task there were before this one."""
        return self._running.task.key.attempt if self._running else None

    @property
    def pathspec(self) -> str | None:
        """`Flow/run/step/task`."""
        parts = (self.flow_name, self.run_id, self.step_name, self.task_id)
        return "/".join(str(part) for part in parts) if self._running else None

    @property
    def namespace(self) -> str | None:
        """`project/branch`, where the run, its events and its artifacts belong."""
        return self._running.task.run.request.namespace if self._running else None

    @property
    def username(self) -> str | None:
        """Whose branch the run is in; in no user's branch, who runs this process."""
        where = self._namespace
        if where is None:
            return None
        return where.branch.removeprefix("user.") if where.is_user_branch else getuser()

    @property
    def project_name(self) -> str | None:
        """The project; `default` for a flow without `@project`."""
        return self._namespace.project if self._namespace else None

    @property
    def branch_name(self) -> str | None:
        """The branch: `prod`, `prod.<b>`, `test.<b>` or `user.<name>`."""
        return self._namespace.branch if self._namespace else None

    @property
    def project_flow_name(self) -> str | None:
        """`project.branch.Flow`."""
        where = self._namespace
        return f"{where.project}.{where.branch}.{self.flow_name}" if where else None

    @property
    def is_production(self) -> bool | None:
        """Whether the branch is `prod` or `prod.<b>`."""
        return self._namespace.is_production if self._namespace else None

    @property
    def is_user_branch(self) -> bool | None:
        """Whether the branch is somebody's own."""
        return self._namespace.is_user_branch if self._namespace else None

    @property
    def parameter_names(self) -> list[str] | None:
        """The names of the flow's parameters."""
        return list(self._running.parameter_names) if self._running else None

    @property
    def is_parallel(self) -> bool:
        """Whether the task is one of a gang (`num_parallel`)."""
        return self.parallel is not None

    @property
    def parallel(self) -> Parallel | None:
        """The gang that the task is one of; None outside of any."""
        if self._running is None or not self._running.task.items:
            return None
        task, innermost = self._running.task, self._running.task.items[-1]
        if task.run.graph.step(innermost.opened_by.step).kind is not StepKind.PARALLEL:
            return None
        first = f"{innermost.opened_by.task}-0"
        return Parallel(_LOOPBACK, innermost.count, innermost.index, first)

    @property
    def tempdir(self) -> str | None:
        """A folder for temporary files."""
        return tempfile.gettempdir() if self._running else None

    @property
    def trigger(self) -> Triggered | None:
        """What started the run, with payloads and offsets; None when nothing triggered it."""
        if self._running is None:
            return None
        causes = causes_of(world().store, self._running.task.run.request)
        return Triggered(causes, Run.at) if causes else None

    @property
    def tags(self) -> frozenset[str] | None:
        """The tags that the run started with, system tags too; what was changed since is in
        `Run.tags`."""
        return tags_at_start(self._running.task.run.request).every if self._running else None

    @property
    def origin_run_id(self) -> str | None:
        """The run that this one resumes; None for most."""
        return self._running.task.run.request.origin if self._running else None

    @property
    def card(self) -> CardBoard:
        """The card of the step, to append to; by its id another one: `current.card["plots"]`.

        Raises:
            CardMissing: the step has none.
        """
        if self._running is None or self._running.board is None:
            raise CardMissing(
                f"Step {self.step_name!r} has no card: write @card above it."
                if self._running
                else "There is a card within a task only."
            )
        return self._running.board

    def get(self, key: str, default: Any = None) -> Any:
        """The value of that name, or `default` where there is none."""
        value = getattr(self, key, None) if key in _NAMES else None
        return default if value is None else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    @property
    def _namespace(self) -> Namespace | None:
        return Namespace.parse(self.namespace) if self.namespace else None


_NAMES = frozenset(
    name for name, value in vars(Current).items() if isinstance(value, property) and name[0] != "_"
)

current = Current()


@contextmanager
def running(
    task: TaskPlan, flow: FlowSpec, board: CardBoard | None = None
) -> Iterator[list[Offset]]:
    """Within the block `task` runs in this process, with `board` as its cards; gives the offsets
    of the events that it publishes, which grow as it does."""
    parameters = parameters_of(type(flow)).values()
    names = tuple(each.name for each in parameters if each.type is not ParameterType.CONFIG)
    state = Running(task, names, board)
    former, current._running = current._running, state
    try:
        with looking_from(task.run.request.namespace):
            yield state.published
    finally:
        current._running = former
