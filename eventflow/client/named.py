"""What a run and everything below it have in common: a place, a name, and the run's tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.client.scope import is_within
from eventflow.context import world
from eventflow.store.runs import read_run
from eventflow.store.tags import read_tags

if TYPE_CHECKING:
    from eventflow.client.flow import Flow
    from eventflow.client.run import Run
    from eventflow.client.step import Step
    from eventflow.client.task import Task
    from eventflow.store.layout import RunPlace

__all__ = ["Named"]


class Named:
    """A name within a run. Objects are equal when they name the same; they can be pickled.

    Tags are those of the run; reading them is two reads of the store.
    """

    __slots__ = ("_parts", "_place")

    def __init__(self, place: RunPlace, *parts: str) -> None:
        self._place = place
        self._parts = parts

    @property
    def id(self) -> str:
        """The last part of the pathspec."""
        return (self._place.run_id, *self._parts)[-1]

    @property
    def pathspec(self) -> str:
        """`Flow/run/step/task/artifact`, as far as it goes."""
        return "/".join(self.path_components)

    @property
    def path_components(self) -> list[str]:
        """The parts of the pathspec."""
        return [self._place.flow, self._place.run_id, *self._parts]

    @property
    def namespace(self) -> str:
        """`project/branch`; before the pathspec, with a slash, it makes the full name."""
        return self._place.namespace

    @property
    def parent(self) -> Flow | Run | Step | Task:
        """What it is part of: the task of an artifact, the flow of a run."""
        # Here, and not above: the classes of all kin are made of this one.
        from eventflow.client.kin import parent_of  # noqa: PLC0415

        return parent_of(self)

    @property
    def origin_pathspec(self) -> str | None:
        """The same thing in the run that it was taken over from by `resume`; None of what ran
        here."""
        origin = self._origin()
        return "/".join((self._place.flow, origin, *self._parts)) if origin else None

    @property
    def tags(self) -> frozenset[str]:
        """All tags of the run, as they are now."""
        return read_tags(world().store, self._place).every

    @property
    def user_tags(self) -> frozenset[str]:
        """The tags that people hung on the run, as they are now."""
        return read_tags(world().store, self._place).user

    @property
    def system_tags(self) -> frozenset[str]:
        """The tags that say where the run comes from: `user:`, `project:`, `project_branch:`,
        `eventflow_version:`, `python_version:`."""
        return read_tags(world().store, self._place).system

    def is_in_namespace(self) -> bool:
        """Whether the client looks where it is."""
        return is_within(self._place.namespace)

    def _origin(self) -> str | None:
        """The id of the run that it comes from."""
        return read_run(world().store, self._place).request.origin

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named) or type(other) is not type(self):
            return NotImplemented
        return (self._place, self._parts) == (other._place, other._parts)

    def __hash__(self) -> int:
        return hash((type(self), self._place, self._parts))

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.namespace}/{self.pathspec}')"
