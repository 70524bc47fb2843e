"""What the history of the chaos must show: what was acknowledged happened once, and nothing else.

Read by plain clients, not through eventflow. Expected is what follows from acknowledged publishes
and from the rules of the flows; which event of a join fell into which run follows from the order
in which the log has them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.chaos.flows.ingest import block, fails
from tests.chaos.publisher import Acknowledged
from tests.chaos.record import Version
from tests.support.history import Entry, History

HOMES = ("chaos/prod", "chaos/test.b")
_SOURCES = {False: "chaos/prod", True: "chaos/*"}
_BLOBS = "/blobs/"
_Start = tuple[str, str]


@dataclass(frozen=True)
class Proof:
    """The checks, over one history. Each raises AssertionError with what is wrong."""

    history: History
    acknowledged: tuple[Acknowledged, ...]
    versions: Callable[[], Sequence[Version]]

    def check(self) -> None:
        """All of them."""
        self.check_events_started_their_runs()
        self.check_completions_started_their_runs()
        self.check_joins()
        self.check_versions_in_force()
        self.history.check_ends()
        self.check_outcomes()
        self.check_records_of_runs()
        self.history.check_order()
        self.history.check_nothing_given_up()
        self.check_artifacts()
        self.check_nothing_overwritten()

    @property
    def expected_runs(self) -> int:
        """How many there are in the end."""
        of_landed = (len(_homes(each)) * (2 if fails(each.number) else 3) for each in self._landed)
        return sum(of_landed) + sum(map(len, self._joined().values()))

    # -- starts ----------------------------------------------------------------------------------

    def check_events_started_their_runs(self) -> None:
        """Each event started one run a branch, by the first record that has its id."""
        expected = Counter(
            (home, self._first_places[_SOURCES[each.is_everywhere], each.id])
            for each in self._landed
            for home in _homes(each)
        )
        _same(self._started("Ingest"), expected, "runs of Ingest by the event that started them")

    def check_completions_started_their_runs(self) -> None:
        """Each run of Ingest published one event; each that succeeded has one follower."""
        runs = {each["run_id"]: each for each in self.history.requests("Ingest")}
        echoes = self._by_run("Echo")
        expected = Counter((each["namespace"], run_id) for run_id, each in runs.items())
        _same(echoes, expected, "runs of Echo by the run whose event started them")
        succeeded = {run_id for run_id, outcome in self._ended.items() if outcome == "succeeded"}
        expected = Counter({key: n for key, n in expected.items() if key[1] in succeeded})
        _same(self._by_run("Follow"), expected, "runs of Follow by the run that they follow")

    def check_joins(self) -> None:
        """Every firing consumed what the log says: each event once, none left out."""
        found: dict[str, list[frozenset[str]]] = defaultdict(list)
        for request in self.history.requests("Pair"):
            ids = [cause["event_id"] for cause in self.history.causes(request)]
            assert len(ids) == len(set(ids)), f"an event is twice in a join: {request}"
            found[request["namespace"]].append(frozenset(ids))
        for home, expected in self._joined().items():
            _same(Counter(found[home]), Counter(expected), f"joins in {home}")

    def check_versions_in_force(self) -> None:
        """Every run of Ingest executes the version in force at the offset of its event."""
        marks = [each for each in self._events if each.kind == "Activation"]
        for request in self.history.requests("Ingest"):
            origin = self.history.causes(request)[0]["origin"]
            in_force = [
                mark.value["version"]
                for mark in marks
                if (mark.partition, mark.value["flow"]) == (origin["partition"], "Ingest")
                and mark.value["namespace"] == request["namespace"]
                and mark.value["source"] == self._sources[origin["partition"], origin["offset"]]
                and mark.offset < origin["offset"]
            ]
            assert request["version"] == in_force[-1], (request, in_force)

    # -- ends ------------------------------------------------------------------------------------

    def check_outcomes(self) -> None:
        """The same outcome in `end.json`, completion and record, and the one that is right."""
        noted = {each.value["run_id"]: each.value["outcome"] for each in self._completions}
        requested = {each["run_id"]: each for each in self._requests}
        assert noted == {run_id: self._ended[run_id] for run_id in noted}
        wrong = {
            run_id: (outcome, self._reason(run_id))
            for run_id, outcome in noted.items()
            if outcome != _right_outcome(requested[run_id])
        }
        assert not wrong, f"not as the flow says: {wrong}"

    def check_records_of_runs(self) -> None:
        """In `runs`: epochs in order, one terminal record, nothing after it, its outcome."""
        records: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in self.history.log.read("runs"):
            if entry.kind == "RunRecord":
                records[entry.value["run_id"]].append(entry.value)
        assert records.keys() == {each["run_id"] for each in self._requests}
        for run_id, each in records.items():
            epochs = [record["epoch"] for record in each]
            outcomes = [record["outcome"] for record in each]
            assert epochs == sorted(epochs), (run_id, epochs)
            assert outcomes[-1] == self._ended[run_id], (run_id, outcomes)
            assert set(outcomes[:-1]) <= {None}, (run_id, outcomes)

    @property
    def taken_over(self) -> int:
        """Runs that got to epoch 2."""
        entries = self.history.log.read("runs")
        return len({e.value["run_id"] for e in entries if e.value and e.value.get("epoch", 0) > 1})

    # -- the store -------------------------------------------------------------------------------

    def check_artifacts(self) -> None:
        """What the end of each successful run names can be read whole, and is right."""
        for request in self._requests:
            if self._ended[request["run_id"]] == "succeeded":
                values = self._values(request)
                if request["flow"] == "Ingest":
                    number = json.loads(request["parameters"]["number"])
                    assert json.loads(values["doubled"]) == 2 * number
                    assert json.loads(values["squared"]) == number**2
                    assert block(number) in values["block"]

    def check_nothing_overwritten(self) -> None:
        """Every object has one version, but for values and code packages, whose names say their
        content (each version is the same); and nothing was deleted, but for the probes of the
        start, and what showed the output of an attempt while it ran."""
        kept = [each for each in self.versions() if not _is_passing(each.key)]
        counts = Counter(each.key for each in kept if _BLOBS not in each.key)
        contents = Counter(key for key, _ in {(each.key, each.content) for each in kept})
        deleted = {each.key for each in kept if each.is_deletion}
        doubled = {key: count for key, count in counts.items() if count > 1}
        changed = {key: count for key, count in contents.items() if count > 1}
        assert not deleted, f"deleted: {deleted}"
        assert not doubled, f"written more than once: {doubled}"
        assert not changed, f"overwritten with something else: {changed}"
        assert sum(key.endswith("/end.json") for key in counts) == len(self._requests)

    def _values(self, request: dict[str, Any]) -> dict[str, bytes]:
        root = f"projects/{request['namespace']}/{request['flow']}/runs/{request['run_id']}/"
        manifest = json.loads(self.history.objects.read(f"{root}end.json"))["manifest"]
        values: dict[str, bytes] = {}
        for epoch, step, task, attempt in manifest.values():
            path = f"{root}e{epoch}/{step}/{task}/{attempt}/artifacts.json"
            for name, ref in json.loads(self.history.objects.read(path))["artifacts"].items():
                values[name] = self._value(ref)
        assert manifest.keys() == {"start/0", "end/0"}, (root, manifest)
        return values

    def _value(self, ref: dict[str, Any]) -> bytes:
        digest = ref["digest"]
        inline = ref.get("inline")
        blob = f"projects/chaos/blobs/{digest[:2]}/sha256-{digest}"
        data = self.history.objects.read(blob) if inline is None else base64.b64decode(inline)
        assert hashlib.sha256(data).hexdigest() == digest
        assert len(data) == ref["size_bytes"]
        return data

    # -- what the log has ------------------------------------------------------------------------

    @cached_property
    def _events(self) -> list[Entry]:
        return self.history.log.read("events")

    @cached_property
    def _requests(self) -> list[dict[str, Any]]:
        return [each.value for each in self.history.log.read("run-requests")]

    @cached_property
    def _ended(self) -> dict[str, str]:
        return self.history.ended()

    @cached_property
    def _completions(self) -> list[Entry]:
        return [each for each in self._events if each.kind == "Completion"]

    @cached_property
    def _first_places(self) -> dict[_Start, tuple[int, int]]:
        """(namespace, id) → where an event stands first."""
        places: dict[_Start, tuple[int, int]] = {}
        for each in self._published:
            place = (each.partition, each.offset)
            places.setdefault((each.value["namespace"], each.value["id"]), place)
        return places

    @cached_property
    def _sources(self) -> dict[tuple[int, int], str]:
        return {(each.partition, each.offset): each.value["namespace"] for each in self._published}

    @property
    def _published(self) -> Iterable[Entry]:
        return (each for each in self._events if each.kind == "Event")

    @property
    def _landed(self) -> list[Acknowledged]:
        return [each for each in self.acknowledged if each.name == "landed"]

    def _started(self, flow: str) -> Counter[tuple[str, tuple[int, int]]]:
        return Counter(
            (request["namespace"], (cause["origin"]["partition"], cause["origin"]["offset"]))
            for request in self.history.requests(flow)
            for cause in self.history.causes(request)
        )

    def _by_run(self, flow: str) -> Counter[_Start]:
        return Counter(
            (request["namespace"], cause["run_id"])
            for request in self.history.requests(flow)
            for cause in self.history.causes(request)
        )

    def _joined(self) -> dict[str, list[frozenset[str]]]:
        """By branch, what each firing of the pair consumes: all that is held when both names are
        there, in the order of the log, which is one partition's."""
        names = {each.id: each.name for each in self.acknowledged}
        held: dict[str, str] = {}
        firings: list[frozenset[str]] = []
        known: set[str] = set()
        for each in self._published:
            event_id = each.value["id"]
            if names.get(event_id) not in {"left", "right"} or event_id in known:
                continue
            known.add(event_id)
            held[event_id] = names[event_id]
            if set(held.values()) == {"left", "right"}:
                firings.append(frozenset(held))
                held.clear()
        return {home: list(firings) for home in HOMES}

    def _reason(self, run_id: str) -> str:
        reasons = (e.value["reason"] for e in self._completions if e.value["run_id"] == run_id)
        return next(reasons, "")


def _is_passing(key: str) -> bool:
    return key.startswith("probes/") or "/live/" in key.partition("/runs/")[2]


def _homes(event: Acknowledged) -> tuple[str, ...]:
    return HOMES if event.is_everywhere else HOMES[:1]


def _right_outcome(request: dict[str, Any]) -> str:
    if request["flow"] == "Ingest" and fails(json.loads(request["parameters"]["number"])):
        return "failed"
    return "succeeded"


def _same(found: Counter[Any], expected: Counter[Any], what: str) -> None:
    keys = found.keys() | expected.keys()
    wrong = {key: (found[key], expected[key]) for key in keys if found[key] != expected[key]}
    assert not wrong, f"{what}, (found, expected): {wrong}"
