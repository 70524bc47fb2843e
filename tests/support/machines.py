"""Partitions of an event log in memory, each with a trigger machine, for tests of the machine.

What a machine concludes becomes true batch by batch, as the service's transactions make it:
forwards are appended to their partition, state changes are folded by key, positions move. A
crash throws the live state away and restores it from what was folded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from eventflow.calendars import CronCalendar
from eventflow.codec.keys import active_key, held_key, seen_key, timer_key
from eventflow.model.completion import Completion, Outcome
from eventflow.model.conclusions import Conclusions, GivenUp, StateRecord
from eventflow.model.decision import Decision
from eventflow.model.deployment import (
    Activation,
    CodePackage,
    Deployment,
    ParameterSpec,
    ParameterType,
)
from eventflow.model.event import EventRecord, Publisher
from eventflow.model.forward import Forward
from eventflow.model.graph import FlowGraph
from eventflow.model.log import partition_of
from eventflow.model.matching import Body, Entry, handle, pass_time
from eventflow.model.offset import Offset
from eventflow.model.partition_state import Limits, PartitionState, Place
from eventflow.model.run import RunRequest
from eventflow.model.state import ActiveVersion, HeldEvent, Timer
from eventflow.model.timetable import Timetable
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger

CALENDAR = CronCalendar()
START = datetime(2026, 1, 31, 6, tzinfo=UTC)
TOPIC_ID = "T1"


def on(*names: str, mappings: dict[str, dict[str, str]] | None = None) -> Trigger:
    """A trigger on events; `mappings`: event name → {parameter: field}."""
    return _trigger(Source.EVENT, names, mappings or {})


def on_finish(*flows: str) -> Trigger:
    """A trigger on completions."""
    return _trigger(Source.COMPLETION, flows, {})


def _trigger(source: Source, names: tuple[str, ...], mappings: dict[str, Any]) -> Trigger:
    return Trigger(
        source,
        tuple(
            Subscription(
                name, tuple(FieldMapping(*each) for each in mappings.get(name, {}).items())
            )
            for name in names
        ),
    )


def parameter(
    name: str,
    kind: ParameterType = ParameterType.INT,
    *,
    default: str | None = None,
    is_required: bool = False,
) -> ParameterSpec:
    return ParameterSpec(name, kind, default, is_required)


def event(
    name: str,
    namespace: str = "p/prod",
    payload: dict[str, Any] | bytes | None = None,
    *,
    id: str | None = None,  # noqa: A002
    at: datetime = START,
    publisher: Publisher | None = None,
    roots: tuple[Offset, ...] = (),
    hops: int = 0,
) -> EventRecord:
    """An event; with `id`, the publisher gave it that one."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload or {}).encode()
    return EventRecord(
        id=id or "some",
        id_set=id is not None,
        name=name,
        namespace=namespace,
        payload=data,
        content_type="application/json",
        published_at=at,
        source="test",
        publisher=publisher,
        roots=roots,
        hops=hops,
    )


def completion(
    flow: str,
    namespace: str = "p/prod",
    outcome: Outcome = Outcome.SUCCEEDED,
    *,
    run_id: str = "rup",
    roots: tuple[Offset, ...] = (),
    hops: int = 0,
) -> Completion:
    return Completion(
        namespace, flow, 1, run_id, 1, outcome, "", START, START, roots=roots, hops=hops
    )


@dataclass
class Partition:
    """One partition of the log, and the machine that decides it. `ticks` are the times that it
    let pass without a record, each with the number of records before it."""

    place: Place
    limits: Limits
    entries: list[Entry] = field(default_factory=list)
    next_index: int = 0
    ticks: list[tuple[int, datetime]] = field(default_factory=list)
    folded: dict[bytes, StateRecord] = field(default_factory=dict)
    clock: datetime = START
    state: PartitionState = field(init=False)


@dataclass
class Machines:
    """A log of several partitions with a machine each, and all that they concluded."""

    partitions: int = 3
    limits: Limits = field(default_factory=Limits)
    deployments: dict[tuple[str, str, int], Deployment] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    requests: list[RunRequest] = field(default_factory=list)
    dead_letters: list[GivenUp] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    id_conflicts: int = 0
    parts: list[Partition] = field(init=False)
    now: datetime = START

    def __post_init__(self) -> None:
        places = (Place(number, self.partitions) for number in range(self.partitions))
        self.parts = [Partition(place, self.limits) for place in places]
        for part in self.parts:
            self.crash(part)

    # -- the log ---------------------------------------------------------------------------------

    def part_of(self, namespace: str) -> Partition:
        return self.parts[partition_of(namespace.encode(), self.partitions)]

    def append(self, body: Body, *, after: timedelta = timedelta(seconds=1)) -> Offset:
        """Append a record where it belongs; offsets have gaps, as in a real log."""
        part = self.part_of(_namespace_of(body))
        self.now += after
        origin = Offset("events", TOPIC_ID, part.place.partition, 2 * len(part.entries))
        part.entries.append(Entry(origin, body, self.now))
        return origin

    def deploy(
        self,
        flow: str,
        trigger: Trigger | None,
        namespace: str = "p/prod",
        parameters: tuple[ParameterSpec, ...] = (),
        *,
        schedule: Timetable | None = None,
        between: Body | None = None,
    ) -> Deployment:
        """The next version, with its marks: first at home, then in `project/*`. In one partition
        another producer's record may come `between`."""
        version = 1 + max((k[2] for k in self.deployments if k[:2] == (namespace, flow)), default=0)
        deployment = Deployment(
            namespace=namespace,
            flow=flow,
            version=version,
            graph=FlowGraph(flow, "flow.py", "", ()),
            parameters=parameters,
            trigger=trigger,
            code=CodePackage("0" * 64, 0, "flow.py"),
            deployed_at=START,
            deployed_by="test",
            schedule=schedule,
        )
        self.deployments[deployment.key] = deployment
        self._mark(namespace, flow, version, between=between)
        return deployment

    def delete(self, flow: str, namespace: str = "p/prod") -> None:
        version = max(k[2] for k in self.deployments if k[:2] == (namespace, flow))
        self._mark(namespace, flow, version, is_deleted=True)

    def _mark(
        self,
        namespace: str,
        flow: str,
        version: int,
        *,
        is_deleted: bool = False,
        between: Body | None = None,
    ) -> None:
        self.append(Activation(namespace, namespace, flow, version, is_deleted, self.now))
        if between is not None:
            self.append(between)
        self.append(Activation(wide(namespace), namespace, flow, version, is_deleted, self.now))

    # -- deciding --------------------------------------------------------------------------------

    def run(self) -> None:
        """Decide all that is in the log, and what follows from it."""
        while any(self.step(part, 100) for part in self.parts):
            pass

    def say(self, body: Body, *, after: timedelta = timedelta(seconds=1)) -> Offset:
        """Append a record and decide everything."""
        origin = self.append(body, after=after)
        self.run()
        return origin

    def step(self, part: Partition, limit: int, *, is_lost: bool = False) -> int:
        """Decide a batch and commit it; with `is_lost`, crash before the commit."""
        batch = part.entries[part.next_index : part.next_index + limit]
        concluded = [self._handle(part, entry) for entry in batch]
        if is_lost:
            self.crash(part)
            return 0
        for each in concluded:
            self._commit(part, each)
        part.next_index += len(batch)
        part.clock = part.state.clock
        return len(batch)

    def pass_time(self, part: Partition, now: datetime, *, is_lost: bool = False) -> None:
        """It is `now`, and all of the log was read; with `is_lost`, crash before the commit."""
        assert part.next_index == len(part.entries)
        concluded = pass_time(part.state, now, self.find, CALENDAR)
        if is_lost:
            self.crash(part)
        else:
            self._commit(part, concluded)
            part.ticks.append((part.next_index, now))

    def _handle(self, part: Partition, entry: Entry) -> Conclusions:
        return handle(part.state, entry, self.now, self.find, CALENDAR)

    def decide_all(self, part: Partition) -> None:
        """Decide a log in which the forwards of other partitions stand already, and the time that
        has to pass in between is known."""
        ticks, part.ticks = part.ticks, []
        for index, entry in enumerate((*part.entries, None)):
            part.next_index = len(part.entries)
            for _, now in [each for each in ticks if each[0] == index]:
                self.pass_time(part, now)
            if entry is not None:
                concluded = self._handle(part, entry)
                concluded.forwards = []
                self._commit(part, concluded)

    def crash(self, part: Partition) -> None:
        """Throw the live state away; restore it from what was committed."""
        part.state = self.restored(part)

    def restored(self, part: Partition) -> PartitionState:
        state = PartitionState(part.place, part.limits, part.clock)
        for record in part.folded.values():
            state.take_in(record, self.find)
        return state

    def find(self, namespace: str, flow: str, version: int) -> Deployment | None:
        return self.deployments.get((namespace, flow, version))

    def _commit(self, part: Partition, concluded: Conclusions) -> None:
        self.decisions += concluded.decisions
        self.requests += concluded.requests
        self.dead_letters += concluded.dead_letters
        self.forwards += concluded.forwards
        self.id_conflicts += concluded.id_conflicts
        for change in concluded.changes:
            part.folded.pop(key_of(change.record), None)
            if not change.is_forgotten:
                part.folded[key_of(change.record)] = change.record
        for forward in concluded.forwards:
            self.append(forward)

    # -- what came of it -------------------------------------------------------------------------

    def verdicts(self, origin: Offset) -> list[tuple[str, str, str]]:
        """(flow, verdict, reason) of every decision on a record."""
        return [
            (each.flow, each.verdict.value, each.reason)
            for each in self.decisions
            if each.origin == origin
        ]

    def held(self) -> Iterator[HeldEvent]:
        """Everything that waits in any join."""
        for part in self.parts:
            yield from part.state.joins


def key_of(record: StateRecord) -> bytes:
    """The key under which a record of state stands in its topic."""
    if isinstance(record, ActiveVersion):
        return active_key(record)
    if isinstance(record, Timer):
        return timer_key(record)
    return held_key(record) if isinstance(record, HeldEvent) else seen_key(record)


def wide(namespace: str) -> str:
    return f"{namespace.partition('/')[0]}/*"


def _namespace_of(body: Body) -> str:
    if isinstance(body, EventRecord | Completion):
        return body.namespace
    return body.source if isinstance(body, Activation) else body.home


PUBLISHER = Publisher("p/prod", "Up", "rup", "start", "0", 0)
