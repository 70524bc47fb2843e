"""The evidence: a history, decoded with fastavro and the published schemas, not by eventflow."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.history import SENT_AGAIN
from tests.support.plain_records import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.history import History, LoggedRecord, WrittenObject

__all__ = ["Entry", "Evidence", "Flow", "Place", "Run", "place_of", "root_of"]

Flow = tuple[str, str]
"""(namespace, flow): what names a deployment, whatever its version."""


class Place(NamedTuple):
    """Where an original record stands."""

    topic_id: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


class Run(NamedTuple):
    """What names a run in the store."""

    namespace: str
    flow: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, and what it says. `kind` is the name of its schema; "" when it has none."""

    record: LoggedRecord
    kind: str
    value: dict[str, Any]

    @property
    def place(self) -> str:
        """As people write it."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


class Evidence:
    """A history, with what is asked of it again and again."""

    def __init__(self, history: History) -> None:
        self.history = history

    def read(self, topic: str, kind: str = "") -> Sequence[Entry]:
        """The records of a topic, partition by partition in order of offset."""
        return [each for each in self._entries[topic] if not kind or each.kind == kind]

    @cached_property
    def _entries(self) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for topic, records in self.history.records.items():
            found[topic] = [Entry(each, *decoded(each.value)) for each in records]
        return found

    @cached_property
    def deployments(self) -> Mapping[tuple[str, str, int], dict[str, Any]]:
        """Every version of every deployment, by (namespace, flow, version)."""
        versions = (each.value for each in self.read("deployments", "Deployment"))
        return {(each["namespace"], each["flow"], each["version"]): each for each in versions}

    @cached_property
    def requests(self) -> Sequence[Entry]:
        """What was requested, without what an operator has sent again."""
        found = self.read("run-requests", "RunRequest")
        return [each for each in found if SENT_AGAIN not in each.record.headers]

    @cached_property
    def requested(self) -> Mapping[str, Run]:
        """The runs that were requested, by their ids."""
        return {each.value["run_id"]: run_of(each.value) for each in self.requests}

    @cached_property
    def records_of_runs(self) -> Mapping[str, Sequence[Entry]]:
        """The RunRecords of each run, in the order of the log."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for each in self.read("runs", "RunRecord"):
            found[each.value["run_id"]].append(each)
        return found

    @cached_property
    def completions(self) -> Mapping[str, Sequence[Entry]]:
        """The completions of each run, in the order of the log."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for each in self.read("events", "Completion"):
            found[each.value["run_id"]].append(each)
        return found

    @cached_property
    def puts(self) -> Mapping[str, Sequence[WrittenObject]]:
        """Every put, by key."""
        found: dict[str, list[WrittenObject]] = defaultdict(list)
        for each in self.history.objects:
            found[each.key].append(each)
        return found

    @cached_property
    def ends(self) -> Mapping[str, tuple[WrittenObject, dict[str, Any]]]:
        """The first `end.json` of each run, by run id, and what it says."""
        ends = ((key, puts[0]) for key, puts in self.puts.items() if key.endswith("/end.json"))
        return {key.split("/")[-2]: (put, json.loads(put.data)) for key, put in ends}

    def graph_of(self, run_id: str) -> Mapping[str, Any]:
        """The graph of the version that was requested; an empty one of one that nobody knows."""
        requests = (each.value for each in self.requests if each.value["run_id"] == run_id)
        for request in requests:
            key = request["namespace"], request["flow"], request["version"]
            if key in self.deployments:
                graph: Mapping[str, Any] = self.deployments[key]["graph"]
                return graph
        return {}

    def steps_of(self, run_id: str) -> Sequence[Mapping[str, Any]]:
        """The steps of the version that was requested, as its graph has them; none of one that
        nobody knows."""
        steps: Sequence[Mapping[str, Any]] = self.graph_of(run_id).get("steps", ())
        return steps


def place_of(origin: Mapping[str, Any]) -> Place:
    """The place that an Offset of a schema says."""
    return Place(origin["topic_id"], origin["partition"], origin["offset"])


def run_of(request: Mapping[str, Any]) -> Run:
    """The run of a request, or of a completion."""
    return Run(request["namespace"], request["flow"], request["run_id"])


def root_of(run: Run) -> str:
    """The prefix of all objects of a run."""
    return f"projects/{run.namespace}/{run.flow}/runs/{run.run_id}/"
