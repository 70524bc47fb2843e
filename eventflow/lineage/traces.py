"""What the store keeps of where things came from and went to: one question, one listing.

Missing objects are no errors: a run that has just begun is named before all of it stands, and
what is long gone may still be named.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from eventflow.errors import CorruptObject, NotFound, ObjectMissing
from eventflow.model.graph import END
from eventflow.model.offset import Offset
from eventflow.store.artifacts import read_task
from eventflow.store.attempts import attempt_of
from eventflow.store.causes import causes_of
from eventflow.store.layout import (
    RunPlace,
    lineage_prefixes,
    lineage_topic_prefix,
    may_be_of,
    run_of_downstream_key,
    run_of_lineage_key,
    topic_id_of_lineage_key,
)
from eventflow.store.runs import read_end, read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from eventflow.model.run import Cause
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.port import Store
    from eventflow.store.runs import EndFile

__all__ = ["RunTrace", "Traces"]

_READERS = 16
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RunTrace:
    """What the store says of a run: its causes, oldest first, its end, when there is one, and the
    name of its last step, which has its results."""

    place: RunPlace
    requested_at: datetime | None
    causes: tuple[Cause, ...]
    end: EndFile | None
    last_step: str = END


class Traces:
    """Reads the traces; several at a time, which is what a distant store needs. For one question:
    what a record started is looked up once, whichever way it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._started: dict[tuple[str, int, int], list[RunTrace]] = {}

    def run(self, place: RunPlace) -> RunTrace:
        """What is known of a run."""
        try:
            run = read_run(self._store, place)
            causes = causes_of(self._store, run.request)
        except ObjectMissing:
            return RunTrace(place, None, (), None)
        end, requested_at = read_end(self._store, place), run.request.requested_at
        return RunTrace(place, requested_at, causes, end, run.graph.end)

    def known_run(self, place: RunPlace) -> RunTrace:
        """The same of a run that has to exist.

        Raises:
            NotFound: it does not.
        """
        run = self.run(place)
        if run.requested_at is None:
            raise NotFound(f"There is no run {place.namespace}/{place.flow}/{place.run_id}.")
        return run

    def runs(self, places: Iterable[RunPlace]) -> list[RunTrace]:
        """The same of several, in their order."""
        return self._each(self.run, places)

    def started_by(self, topic: str, partition: int, offset: int) -> list[RunTrace]:
        """The runs that the record there started, alone or with others, in the order of their
        ids. A topic that was made anew counts too: its id tells the records apart."""
        where = (topic, partition, offset)
        if where not in self._started:
            self._started[where] = self._find_started_by(*where)
        return self._started[where]

    def _find_started_by(self, topic: str, partition: int, offset: int) -> list[RunTrace]:
        keys = [
            each.key
            for topic_id in self._topic_ids(topic)
            for prefix in lineage_prefixes(Offset(topic, topic_id, partition, offset))
            for each in self._store.list(prefix)
            if may_be_of(each.key, offset)
        ]
        blocks = self._each(self._offsets, keys)
        named = [key for key, offsets in zip(keys, blocks, strict=True) if offset in offsets]
        return self.runs(sorted({run_of_lineage_key(key) for key in named}, key=_order))

    def downstream_of(self, place: RunPlace) -> list[RunTrace]:
        """The runs that the completion or the events of a run started."""
        keys = [each.key for each in self._store.list(place.downstream_prefix)]
        return self.runs(run_of_downstream_key(key) for key in keys)

    def leads_on(self, place: RunPlace) -> bool:
        """Whether a run started others."""
        return any(True for _ in self._store.list(place.downstream_prefix, limit=1))

    def tasks(self, run: RunTrace) -> list[TaskRecord]:
        """What the tasks of a run left that count for its end; nothing before its end."""
        keys = run.end.manifest.values() if run.end else ()
        return self._each(lambda key: read_task(self._store, run.place, key), sorted(keys))

    def task(self, place: RunPlace, step: str, task: str) -> TaskRecord:
        """What one task left.

        Raises:
            NotFound: there is no such task, or it has not succeeded.
        """
        key = attempt_of(self._store, place, step, task)
        try:
            return read_task(self._store, place, key)
        except ObjectMissing as error:
            raise NotFound(
                f"{place.flow}/{place.run_id}/{step}/{task} has not succeeded: it has no artifacts."
            ) from error

    def _topic_ids(self, topic: str) -> list[str]:
        folders = self._store.list(lineage_topic_prefix(topic), folders=True)
        ids = [topic_id_of_lineage_key(each.key, topic) for each in folders]
        return [each for each in ids if "." not in each]

    def _offsets(self, key: str) -> frozenset[int]:
        try:
            return frozenset(json.loads(self._store.get(key)))
        except ObjectMissing:
            return frozenset()
        except (ValueError, TypeError) as error:
            raise CorruptObject(f"{self._store.url}/{key} is no list of offsets.") from error

    def _each(self, ask: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="lineage") as readers:
            return list(readers.map(ask, items))


def _order(place: RunPlace) -> tuple[str, str, str]:
    return place.run_id, place.namespace, place.flow
