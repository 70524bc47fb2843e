"""`Flow`: the runs of a flow."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from eventflow.client.run import Run
from eventflow.client.scope import is_within, locate_flow
from eventflow.context import world
from eventflow.errors import NotFound, ObjectMissing
from eventflow.model.tags import each_tag, is_like_a_system_tag
from eventflow.store.finding import find_run
from eventflow.store.layout import (
    RunPlace,
    flow_index_prefix,
    flow_key,
    run_id_of_index_key,
    tagged_prefix,
)
from eventflow.store.tags import read_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

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

    @classmethod
    def at(cls, name: str, *namespaces: str) -> Flow:
        """The flow of that name in these namespaces, wherever the client looks."""
        flow = cls.__new__(cls)
        flow._flow, flow._namespaces = name, namespaces
        return flow

    @property
    def id(self) -> str:
        """Its name."""
        return self._flow

    @property
    def pathspec(self) -> str:
        """Its name too: that of its class."""
        return self._flow

    @property
    def path_components(self) -> list[str]:
        """The parts of the pathspec: one."""
        return [self._flow]

    @property
    def parent(self) -> None:
        """Nothing: all flows are `Metaflow()`."""
        return

    @property
    def created_at(self) -> datetime | None:
        """When it first ran, by the clock of the store, aware UTC."""
        found = (world().store.info(flow_key(each, self._flow)) for each in self._namespaces)
        return min((each.modified_at for each in found if each and each.modified_at), default=None)

    def is_in_namespace(self) -> bool:
        """Whether the client looks in a namespace that it is in."""
        return any(map(is_within, self._namespaces))

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

    def runs(self, *tags: str) -> Iterator[Run]:
        """The runs that have all of the `tags`, the one requested last first; read as far as
        you go.

        With a user tag among them only runs that have, or had, that one are looked at; with
        system tags alone every run is.
        """
        if not tags:
            return map(Run.at, self._places(successful=False))
        return map(Run.at, self._tagged(each_tag(tags)))

    def __iter__(self) -> Iterator[Run]:
        return self.runs()

    def __getitem__(self, run: str) -> Run:
        """The run whose id is, or uniquely begins with, `run`.

        Raises:
            NotFound: there is none.
            Ambiguous: there are several.
        """
        return Run.at(find_run(world().store, self._flow, self._namespaces, run))

    def __contains__(self, run: object) -> bool:
        if not isinstance(run, str):
            return False
        try:
            return bool(self[run])
        except NotFound:
            return False

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
        def folder(namespace: str) -> str:
            return flow_index_prefix(namespace, self._flow, successful=successful)

        return self._listed(folder, limit)

    def _tagged(self, tags: Sequence[str]) -> Iterator[RunPlace]:
        store, wanted = world().store, frozenset(tags)
        for place in self._candidates(tags):
            try:
                if wanted <= read_tags(store, place).every:
                    yield place
            except ObjectMissing:
                continue  # its entry stands a moment before its run.json

    def _candidates(self, tags: Sequence[str]) -> Iterator[RunPlace]:
        """The runs to look at, by the first tag that can only be a user tag."""
        tag = next((each for each in tags if not is_like_a_system_tag(each)), None)
        if tag is None:
            return self._places(successful=False)
        return self._listed(lambda namespace: tagged_prefix(namespace, self._flow, tag))

    def _listed(self, folder: Callable[[str], str], limit: int | None = None) -> Iterator[RunPlace]:
        """The runs that the same folder of all namespaces lists, latest first."""
        indexes = [self._index(each, folder(each), limit) for each in self._namespaces]
        for _, place in heapq.merge(*indexes, key=lambda entry: entry[0]):
            yield place

    def _index(
        self, namespace: str, prefix: str, limit: int | None
    ) -> Iterator[tuple[str, RunPlace]]:
        """Inverted time and place of the runs in one namespace, latest first."""
        for each in world().store.list(prefix, limit=limit):
            place = RunPlace(namespace, self._flow, run_id_of_index_key(each.key))
            yield each.key.removeprefix(prefix), place
