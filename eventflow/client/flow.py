"""`Flow`: the runs of a flow."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from eventflow.client.run import Run
from eventflow.client.scope import locate_flow
from eventflow.context import world
from eventflow.store.finding import find_run
from eventflow.store.layout import RunPlace, flow_index_prefix, run_id_of_index_key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Flow"]

_MOST_UNWRITTEN = 10


class Flow:
    """A flow that has run. `Flow("X")`, or in full `Flow("project/branch/X")`.

    When the client looks in several namespaces, its runs are those of all of them, by time.
    """

    __slots__ = ("_flow", "_namespaces")

    def __init__(self, name: str) -> None:
        """Find it.

        Raises:
            NotFound: it has never run where the client looks; the message says where it has.
            Ambiguous: nobody chose a namespace, and it lives in several; the message lists them.
        """
        self._flow, self._namespaces = locate_flow(name)

    @property
    def id(self) -> str:
        """Its name."""
        return self._flow

    @property
    def pathspec(self) -> str:
        """Its name too: that of its class."""
        return self._flow

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where its runs are."""
        return self._namespaces

    @property
    def latest_run(self) -> Run | None:
        """The run requested last, whatever its state; None before the first."""
        # An entry may stand a moment before its run.json.
        for place in self._places(successful=False, limit=_MOST_UNWRITTEN):
            if world().store.info(place.run):
                return Run.at(place)
        return None

    @property
    def latest_successful_run(self) -> Run | None:
        """The run requested last of those that succeeded; None before the first."""
        return next(map(Run.at, self._places(successful=True, limit=1)), None)

    def runs(self) -> Iterator[Run]:
        """All runs, the one requested last first; read as far as you go."""
        return map(Run.at, self._places(successful=False))

    def __iter__(self) -> Iterator[Run]:
        return self.runs()

    def __getitem__(self, run: str) -> Run:
        """The run whose id is, or uniquely begins with, `run`.

        Raises:
            NotFound: there is none.
            Ambiguous: there are several.
        """
        return Run.at(find_run(world().store, self._flow, self._namespaces, run))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flow):
            return NotImplemented
        return (self._flow, self._namespaces) == (other._flow, other._namespaces)

    def __hash__(self) -> int:
        return hash((self._flow, self._namespaces))

    def __repr__(self) -> str:
        if len(self._namespaces) == 1:
            return f"Flow('{self._namespaces[0]}/{self._flow}')"
        return f"<Flow {self._flow} in {', '.join(self._namespaces)}>"

    def _places(self, *, successful: bool, limit: int | None = None) -> Iterator[RunPlace]:
        indexes = [self._index(each, successful, limit) for each in self._namespaces]
        for _, place in heapq.merge(*indexes, key=lambda entry: entry[0]):
            yield place

    def _index(
        self, namespace: str, successful: bool, limit: int | None
    ) -> Iterator[tuple[str, RunPlace]]:
        """Inverted time and place of the runs in one namespace, latest first."""
        prefix = flow_index_prefix(namespace, self._flow, successful=successful)
        for each in world().store.list(prefix, limit=limit):
            place = RunPlace(namespace, self._flow, run_id_of_index_key(each.key))
            yield each.key.removeprefix(prefix), place
