"""What has to follow from an event log: a plain second model of matching (docs/protocols.md §5).

It knows no transactions, crashes, or restores: it reads the committed log of each partition from
its first record to its last, and writes down what any trigger service has to have concluded.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from eventflow.model.log import partition_of
from tests.simulation.evidence import Flow, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.simulation.evidence import Entry, Evidence

__all__ = ["Conclusion", "Expected", "Heard", "Started", "expected_of"]


class Conclusion(NamedTuple):
    """A decision that has to stand, as far as it can be foretold."""

    origin: Place
    namespace: str
    flow: str
    version: int
    verdict: str


class Started(NamedTuple):
    """A request that has to stand."""

    run_id: str
    namespace: str
    flow: str
    version: int
    causes: tuple[Place, ...]
    hops: int


@dataclass(frozen=True, slots=True)
class Heard:
    """An event or completion, as its listeners see it."""

    origin: Place
    kind: str
    namespace: str
    name: str
    id: str
    at: Any
    payload: bytes
    hops: int


@dataclass(slots=True)
class Expected:
    """What has to stand. `steps`: for each partition the conclusions of one record after another.

    `forwards`: (home, origin) → its listeners. `held` and `active` are what every partition still
    knows at the end. `dead_letters`: origins, and how many.
    """

    steps: dict[int, list[Counter[Conclusion]]] = field(default_factory=lambda: defaultdict(list))
    started: list[Started] = field(default_factory=list)
    forwards: Counter[tuple[str, Place, frozenset[tuple[str, int]]]] = field(
        default_factory=Counter
    )
    held: set[tuple[str, str, Place]] = field(default_factory=set)
    active: set[tuple[str, str, str, int]] = field(default_factory=set)
    dead_letters: Counter[Place] = field(default_factory=Counter)

    def conclusions(self) -> Counter[Conclusion]:
        """All of them."""
        every: Counter[Conclusion] = Counter()
        for steps in self.steps.values():
            for step in steps:
                every.update(step)
        return every


def expected_of(evidence: Evidence) -> Expected:
    """What has to follow from the events of a history."""
    expected = Expected()
    partitions: dict[int, list[Entry]] = defaultdict(list)
    for entry in evidence.read("events"):
        partitions[entry.record.partition].append(entry)
    for number, entries in sorted(partitions.items()):
        model = _Partition(number, evidence, expected)
        for entry in entries:
            model.hear(entry)
        model.finish()
    return expected


class _Partition:
    """One partition. `active`: (source, namespace, flow) → (version, joined since)."""

    def __init__(self, number: int, evidence: Evidence, expected: Expected) -> None:
        self.number, self.expected = number, expected
        self.deployments, self.history = evidence.deployments, evidence.history
        self.active: dict[tuple[str, str, str], tuple[int, int]] = {}
        self.joins: dict[Flow, list[Heard]] = defaultdict(list)
        self.ids: dict[tuple[str, str, str], bytes] = {}
        self.step: Counter[Conclusion] = Counter()
        self.here = Place("", number, 0)

    def hear(self, entry: Entry) -> None:
        """The next record."""
        self.step = Counter()
        self.here = origin = self._origin(entry)
        if entry.kind == "Activation":
            self._mark(origin, entry.value)
        elif entry.kind == "Forward":
            heard = _event(place_of(entry.value["origin"]), entry.value["event"])
            for each in entry.value["listeners"]:
                self._decide(heard, entry.value["home"], each["flow"], each["version"])
        elif entry.kind == "Completion":
            self._complete(_completion(origin, entry.value), entry.value["outcome"])
        elif entry.kind == "Event":
            self._event(_event(origin, entry.value), entry.value)
        else:
            self.expected.dead_letters[origin] += 1
        self.expected.steps[self.number].append(self.step)

    def finish(self) -> None:
        """What it still knows."""
        for (namespace, flow), held in self.joins.items():
            self.expected.held.update((namespace, flow, each.origin) for each in held)
        for (source, namespace, flow), (version, _) in self.active.items():
            self.expected.active.add((source, namespace, flow, version))

    # -- marks -----------------------------------------------------------------------------------

    def _mark(self, origin: Place, mark: Mapping[str, Any]) -> None:
        source, flow = mark["source"], (mark["namespace"], mark["flow"])
        key, version = (source, *flow), mark["version"]
        former = self.active.get(key)
        if former is not None and version < former[0]:
            self._conclude(origin, flow, version, "not matched")
        elif mark["is_deleted"]:
            self.active.pop(key, None)
            self._close(key, former)
            self._conclude(origin, flow, version, "deleted")
        else:
            goes_on = former is not None and self._trigger(*flow, former[0]) == self._trigger(
                *flow, version
            )
            since = former[1] if former is not None and goes_on else version
            self.active.pop(key, None)
            self.active[key] = version, since
            if not goes_on:
                self._close(key, former)
            self._conclude(origin, flow, version, "activated")

    def _close(self, key: tuple[str, str, str], former: tuple[int, int] | None) -> None:
        source, namespace, flow = key
        if former is None or source != namespace:
            return
        for held in self.joins.pop((namespace, flow), ()):
            self._conclude(held.origin, (namespace, flow), former[0], "closed by redeploy")

    # -- events ----------------------------------------------------------------------------------

    def _event(self, heard: Heard, event: Mapping[str, Any]) -> None:
        audience = self._audience(heard)
        if not audience:
            return
        if event["id_set"]:
            key = heard.namespace, heard.name, heard.id
            if key in self.ids:
                is_same = self.ids[key] == heard.payload or event["publisher"] is not None
                self._repeat(heard, audience, is_same=is_same)
                return
            self.ids[key] = heard.payload
        homes: dict[str, set[tuple[str, int]]] = defaultdict(set)
        for namespace, flow, version in audience:
            if self._is_here(namespace):
                self._decide(heard, namespace, flow, version)
            else:
                homes[namespace].add((flow, version))
        for home, listeners in homes.items():
            self.expected.forwards[home, heard.origin, frozenset(listeners)] += 1

    def _repeat(
        self, heard: Heard, audience: Sequence[tuple[str, str, int]], *, is_same: bool
    ) -> None:
        for namespace, flow, version in audience:
            verdict = "duplicate" if is_same else "dead letter"
            self._conclude(heard.origin, (namespace, flow), version, verdict)
        if not is_same:
            self.expected.dead_letters[heard.origin] += 1

    def _complete(self, heard: Heard, outcome: str) -> None:
        for namespace, flow, version in self._audience(heard):
            if outcome == "succeeded":
                self._decide(heard, namespace, flow, version)
            else:
                self._conclude(heard.origin, (namespace, flow), version, "not matched")

    def _audience(self, heard: Heard) -> list[tuple[str, str, int]]:
        found = []
        for (source, namespace, flow), (version, _) in self.active.items():
            trigger = self._trigger(namespace, flow, version)
            if source != heard.namespace or trigger is None or trigger["source"] != heard.kind:
                continue
            if any(each["name"] == heard.name for each in trigger["subscriptions"]):
                found.append((namespace, flow, version))
        return found

    # -- the decision for one deployment ---------------------------------------------------------

    def _decide(self, heard: Heard, namespace: str, flow: str, version: int) -> None:
        trigger = self._trigger(namespace, flow, version)
        key = namespace, flow
        if trigger is None:
            self._conclude(heard.origin, key, version, "not matched")
            return
        is_join = len(trigger["subscriptions"]) > 1
        home = self.active.get((namespace, namespace, flow))
        if is_join and (home is None or home[1] > version):
            self._conclude(heard.origin, key, version, "closed by redeploy")
            return
        misfit = self._misfit(heard, namespace, flow, version)
        if misfit is not None:
            self._turn_away(heard, key, version, misfit, at=self.here)
        elif is_join:
            self._join(heard, key, version, [each["name"] for each in trigger["subscriptions"]])
        else:
            self._start(heard, key, version, [heard])

    def _join(self, new: Heard, key: Flow, version: int, names: Sequence[str]) -> None:
        together = sorted((*self.joins[key], new), key=_age)
        fitting = {}
        misfits = {}
        if {each.name for each in together} >= set(names):
            for each in reversed(together):
                misfit = self._misfit(each, *key, version)
                if each.name not in fitting and misfit is not None:
                    misfits[each.origin] = each, misfit
                elif each.name not in fitting:
                    fitting[each.name] = each
        for each, misfit in misfits.values():
            self._turn_away(each, key, version, misfit, at=each.origin)
        self.joins[key] = [each for each in self.joins[key] if each.origin not in misfits]
        if len(fitting) == len(names):
            del self.joins[key]
            kept = [each for each in together if each.origin not in misfits]
            self._start(new, key, version, kept)
        else:
            self._hold(new, key, version)

    def _hold(self, new: Heard, key: Flow, version: int) -> None:
        held = self.joins[key]
        held.append(new)
        self._conclude(new.origin, key, version, "held")
        while len(held) > max(1, self.history.join_events):
            oldest = held.pop(0)
            self._turn_away(oldest, key, version, "dead letter", at=oldest.origin)

    def _turn_away(self, heard: Heard, key: Flow, version: int, verdict: str, *, at: Place) -> None:
        """`at`: the record that would be given up; a Forward is, in the place of its event."""
        self._conclude(heard.origin, key, version, verdict)
        if verdict == "dead letter":
            self.expected.dead_letters[at] += 1

    def _start(self, last: Heard, key: Flow, version: int, heard: Sequence[Heard]) -> None:
        causes = tuple(each.origin for each in heard)
        hops = max(each.hops for each in heard) + 1
        run_id = _run_id(*key, causes)
        self.expected.started.append(Started(run_id, *key, version, causes, hops))
        self._conclude(last.origin, key, version, "started")

    def _misfit(self, heard: Heard, namespace: str, flow: str, version: int) -> str | None:
        """The verdict when its payload does not give the parameters."""
        deployment = self.deployments[namespace, flow, version]
        mappings = next(
            (
                each["mappings"]
                for each in deployment["trigger"]["subscriptions"]
                if each["name"] == heard.name
            ),
            None,
        )
        if mappings is None:
            return "not matched"
        specs = {each["name"]: each for each in deployment["parameters"]}
        payload = json.loads(heard.payload)
        for mapping in mappings:
            spec, value = specs[mapping["parameter"]], payload.get(mapping["field"])
            if value is None and spec["is_required"]:
                return "not matched"
            if value is not None and not _is_of_type(value, spec["type"]):
                return "dead letter"
        return None

    # -- small questions -------------------------------------------------------------------------

    def _conclude(self, origin: Place, key: Flow, version: int, verdict: str) -> None:
        self.step[Conclusion(origin, *key, version, verdict)] += 1

    def _trigger(self, namespace: str, flow: str, version: int) -> Any:
        return self.deployments[namespace, flow, version]["trigger"]

    def _is_here(self, namespace: str) -> bool:
        return partition_of(namespace.encode(), self.history.event_partitions) == self.number

    def _origin(self, entry: Entry) -> Place:
        record, topic_id = entry.record, self.history.topic_ids["events"]
        return Place(topic_id, record.partition, record.offset)


def _event(origin: Place, event: Mapping[str, Any]) -> Heard:
    return Heard(
        origin,
        "event",
        event["namespace"],
        event["name"],
        event["id"],
        event["published_at"],
        event["payload"],
        event["hops"],
    )


def _completion(origin: Place, value: Mapping[str, Any]) -> Heard:
    said = {"flow": value["flow"], "run_id": value["run_id"], "outcome": value["outcome"]}
    return Heard(
        origin,
        "completion",
        value["namespace"],
        value["flow"],
        value["run_id"],
        value["finished_at"],
        json.dumps(said).encode(),
        value["hops"],
    )


def _age(heard: Heard) -> tuple[object, ...]:
    return (heard.at, *heard.origin)


def _is_of_type(value: object, name: str) -> bool:
    """Of what a simulated payload has: integers that fit an int, and words that do not."""
    return name != "int" or (isinstance(value, int) and not isinstance(value, bool))


def _run_id(namespace: str, flow: str, causes: Iterable[Place]) -> str:
    parts = [namespace, flow, *(f"{each.topic_id}/{each!s}" for each in causes)]
    digest = hashlib.sha256("".join(f"{part}\0" for part in parts).encode()).digest()
    return "r" + base64.b32encode(digest).decode().lower()[:20]
