"""Random histories: the machine against a reference that is slow and obviously right.

The reference knows no state. It looks at the whole log of every partition, as it came to be, and
says for each record by scanning backwards which version was in force, who heard it, and which
runs follow.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from eventflow.model.completion import Completion, Outcome
from eventflow.model.decision import Decision, Verdict
from eventflow.model.deployment import Activation, Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.offset import Offset
from eventflow.model.run import RunRequest
from eventflow.model.timetable import Timetable
from eventflow.model.trigger import Source, Trigger
from tests.support.machines import (
    START,
    Machines,
    Partition,
    completion,
    event,
    on,
    on_finish,
    parameter,
)

NAMESPACES = ("p/prod", "p/test.a", "p/user.u")
SOURCES = (*NAMESPACES, "p/*")
FLOWS = ("One", "Two")
X = (parameter("x", is_required=True),)
EVERY = (None, None, 20, 30)
"""A schedule: none, or every so many minutes."""
TRIGGERS: tuple[Trigger | None, ...] = (
    on("a"),
    on("b", mappings={"b": {"x": "x"}}),
    on("a", "b"),
    on("a", "b", mappings={"a": {"x": "x"}}),
    on("a", "b", "c"),
    on_finish("Up"),
    on_finish("Up", "Down"),
    None,
)
JOIN, OTHER_JOIN = 2, 4
PAYLOADS: tuple[dict[str, object], ...] = ({"x": 1}, {"x": 2}, {}, {"x": "no"})

# -- the reference -------------------------------------------------------------------------------

Deployed = tuple[str, str]
Run = tuple[str, str, int, tuple[Offset, ...], str]
Due = tuple[str, str, int, datetime, int]
"""A run of a schedule: its deployment, the due time, and how many were skipped before it."""


@dataclass
class Reference:
    """What has to follow from the logs of `machines`."""

    machines: Machines
    runs: Counter[Run] = field(default_factory=Counter)
    forwards: Counter[tuple[Offset, str, frozenset[tuple[str, int]]]] = field(
        default_factory=Counter
    )
    due: Counter[Due] = field(default_factory=Counter)

    def conclude(self) -> Reference:
        for part in self.machines.parts:
            self._keep_times(part)
            holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]] = {}
            for index in range(len(part.entries)):
                self._close_joins(part, index, holding)
                for said, origin, deployment in self._heard(part, index):
                    self._decide(part, index, holding, (said, origin), deployment)
        return self

    def _keep_times(self, part: Partition) -> None:
        """For each schedule the time up to which its due times are done."""
        done: dict[Deployed, datetime] = {}
        for index, entry in enumerate((*part.entries, None)):
            for _, now in [tick for tick in part.ticks if tick[0] == index]:
                self._pass(part, index, done, now)
            if entry is None:
                return
            self._pass(part, index, done, entry.appended_at)
            mark = entry.body
            if isinstance(mark, Activation) and mark.source == mark.namespace:
                self._set(part, index, done, (mark.namespace, mark.flow))

    def _pass(
        self, part: Partition, index: int, done: dict[Deployed, datetime], until: datetime
    ) -> None:
        for deployed, since in done.items():
            version = self._in_force(part, index, deployed[0], deployed)
            assert version is not None
            first, last = _count(since, version), _count(until, version)
            if last > first:
                at = START + last * _period(version)
                done[deployed] = at
                self.due[*version.key, at, last - first - 1] += 1

    def _set(
        self, part: Partition, index: int, done: dict[Deployed, datetime], deployed: Deployed
    ) -> None:
        former = self._in_force(part, index, deployed[0], deployed)
        version = self._in_force(part, index + 1, deployed[0], deployed)
        if version is None or version.schedule is None:
            done.pop(deployed, None)
        elif former is None or former.schedule != version.schedule:
            at = part.entries[index].appended_at
            done[deployed] = max(at, done.get(deployed, at))

    def _heard(
        self, part: Partition, index: int
    ) -> list[tuple[EventRecord | Completion, Offset, Deployment]]:
        """What record `index` says to which version of whom, decided in this partition."""
        entry = part.entries[index]
        if isinstance(entry.body, Forward):
            forward = entry.body
            return [
                (forward.event, forward.origin, self._version(forward.home, it.flow, it.version))
                for it in forward.listeners
            ]
        if isinstance(entry.body, Activation) or self._is_repeat(part, index):
            return []
        if isinstance(entry.body, Completion) and entry.body.outcome is not Outcome.SUCCEEDED:
            return []
        near = []
        far: dict[str, set[tuple[str, int]]] = {}
        for deployment in self._audience(part, index):
            if self.machines.part_of(deployment.namespace) is part:
                near.append((entry.body, entry.origin, deployment))
            else:
                listener = (deployment.flow, deployment.version)
                far.setdefault(deployment.namespace, set()).add(listener)
        for home, listeners in far.items():
            self.forwards[entry.origin, home, frozenset(listeners)] += 1
        return near

    def _audience(self, part: Partition, index: int) -> list[Deployment]:
        body = part.entries[index].body
        assert isinstance(body, EventRecord | Completion)
        kind = Source.EVENT if isinstance(body, EventRecord) else Source.COMPLETION
        name = body.name if isinstance(body, EventRecord) else body.flow
        found = []
        for deployed in sorted({key[:2] for key in self.machines.deployments}):
            version = self._in_force(part, index, body.namespace, deployed)
            trigger = version.trigger if version else None
            if version and trigger and trigger.source is kind and trigger.subscription(name):
                found.append(version)
        return found

    def _in_force(
        self, part: Partition, index: int, source: str, deployed: Deployed
    ) -> Deployment | None:
        for mark in self._marks(part, index, source, deployed):
            return None if mark.is_deleted else self._version(*deployed, mark.version)
        return None

    def _marks(
        self, part: Partition, index: int, source: str, deployed: Deployed
    ) -> list[Activation]:
        """The marks before a record, latest first."""
        return [
            entry.body
            for entry in reversed(part.entries[:index])
            if isinstance(entry.body, Activation)
            and (entry.body.source, entry.body.namespace, entry.body.flow) == (source, *deployed)
        ]

    def _is_repeat(self, part: Partition, index: int) -> bool:
        body = part.entries[index].body
        if not isinstance(body, EventRecord) or not body.id_set:
            return False
        return any(
            isinstance(former.body, EventRecord)
            and former.body.id_set
            and (former.body.namespace, former.body.name, former.body.id)
            == (body.namespace, body.name, body.id)
            and self._audience(part, before)
            for before, former in enumerate(part.entries[:index])
        )

    def _line(self, part: Partition, index: int, deployed: Deployed) -> set[int]:
        """The versions whose events meet in the join that is open at a record."""
        line: set[int] = set()
        trigger: Trigger | None = None
        for mark in self._marks(part, index, deployed[0], deployed):
            if mark.is_deleted:
                break
            version = self._version(*deployed, mark.version)
            if line and version.trigger != trigger:
                break
            trigger = version.trigger
            line.add(mark.version)
        return line

    def _close_joins(
        self,
        part: Partition,
        index: int,
        holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]],
    ) -> None:
        mark = part.entries[index].body
        if isinstance(mark, Activation) and mark.source == mark.namespace:
            deployed = (mark.namespace, mark.flow)
            if not self._line(part, index, deployed) <= self._line(part, index + 1, deployed):
                holding.pop(deployed, None)

    def _decide(
        self,
        part: Partition,
        index: int,
        holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]],
        new: tuple[EventRecord | Completion, Offset],
        deployment: Deployment,
    ) -> None:
        deployed = (deployment.namespace, deployment.flow)
        trigger = deployment.trigger
        assert trigger is not None
        if not self._fits(deployment, new[0]):
            return
        if not trigger.is_join:
            self._run(deployment, [new])
        elif deployment.version in self._line(part, index, deployed):
            together = [*holding.pop(deployed, []), new]
            if {_name(said) for said, _ in together} == {s.name for s in trigger.subscriptions}:
                self._run(deployment, sorted(together, key=lambda each: (_at(each[0]), each[1])))
            else:
                holding[deployed] = together

    def _fits(self, deployment: Deployment, said: EventRecord | Completion) -> bool:
        assert deployment.trigger is not None
        subscription = deployment.trigger.subscription(_name(said))
        if not subscription or not subscription.mappings:
            return True
        assert isinstance(said, EventRecord)
        return isinstance(json.loads(said.payload).get("x"), int)

    def _run(
        self, deployment: Deployment, parts: list[tuple[EventRecord | Completion, Offset]]
    ) -> None:
        mapped = {}
        assert deployment.trigger is not None
        for said, _ in parts:
            subscription = deployment.trigger.subscription(_name(said))
            if subscription and subscription.mappings:
                assert isinstance(said, EventRecord)
                mapped["x"] = str(json.loads(said.payload)["x"])
        origins = tuple(origin for _, origin in parts)
        self.runs[*deployment.key, origins, json.dumps(mapped)] += 1

    def _version(self, namespace: str, flow: str, version: int) -> Deployment:
        return self.machines.deployments[namespace, flow, version]


def _name(said: EventRecord | Completion) -> str:
    return said.name if isinstance(said, EventRecord) else said.flow


def _at(said: EventRecord | Completion) -> object:
    return said.published_at if isinstance(said, EventRecord) else said.finished_at


def _period(version: Deployment) -> timedelta:
    assert version.schedule is not None
    return timedelta(minutes=int(version.schedule.cron[2:4]))


def _count(at: datetime, version: Deployment) -> int:
    """How many due times there are since START, at which all of them begin."""
    return (at - START) // _period(version)


def _as_due(request: RunRequest) -> Due:
    (cause,) = request.causes
    skipped = json.loads(cause.payload)["skipped"]
    return (request.namespace, request.flow, request.version, cause.at, skipped)


def _is_due(request: RunRequest) -> bool:
    return request.causes[0].kind is Source.SCHEDULE


def _as_run(request: RunRequest) -> Run:
    origins = tuple(cause.origin for cause in request.causes)
    return (
        *(request.namespace, request.flow, request.version),
        origins,
        json.dumps(request.parameters),
    )


# -- histories -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Publish:
    name: str
    namespace: str
    payload: int
    id: str | None
    minutes: int

    def on(self, machines: Machines) -> None:
        at = START + timedelta(minutes=self.minutes)
        payload = PAYLOADS[self.payload]
        machines.append(event(self.name, self.namespace, payload, id=self.id, at=at))


@dataclass(frozen=True)
class Complete:
    flow: str
    namespace: str
    outcome: Outcome

    def on(self, machines: Machines) -> None:
        run_id = f"r{len(machines.part_of(self.namespace).entries)}"
        machines.append(completion(self.flow, self.namespace, self.outcome, run_id=run_id))


@dataclass(frozen=True)
class Deploy:
    flow: str
    namespace: str
    trigger: int
    between: str | None = None
    every: int | None = None

    def on(self, machines: Machines) -> None:
        between = event("a", self.between, {"x": 1}) if self.between else None
        schedule = Timetable(f"*/{self.every} * * * *", "UTC") if self.every else None
        machines.deploy(
            *(self.flow, TRIGGERS[self.trigger], self.namespace, X),
            schedule=schedule,
            between=between,
        )


@dataclass(frozen=True)
class Delete:
    flow: str
    namespace: str

    def on(self, machines: Machines) -> None:
        if any(key[:2] == (self.namespace, self.flow) for key in machines.deployments):
            machines.delete(self.flow, self.namespace)


@dataclass(frozen=True)
class Decide:
    partition: int
    limit: int
    is_lost: bool

    def on(self, machines: Machines) -> None:
        part = machines.parts[self.partition % machines.partitions]
        machines.step(part, self.limit, is_lost=self.is_lost)
        assert_restorable(machines, part)


@dataclass(frozen=True)
class Wait:
    """The next record is appended later."""

    minutes: int

    def on(self, machines: Machines) -> None:
        machines.now += timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class Tick:
    """All of a partition is decided, and then time passes; by a clock that is a little ahead."""

    partition: int
    ahead: int
    is_lost: bool

    def on(self, machines: Machines) -> None:
        part = machines.parts[self.partition % machines.partitions]
        machines.step(part, len(part.entries))
        now = machines.now + timedelta(minutes=self.ahead)
        machines.pass_time(part, now, is_lost=self.is_lost)
        assert_restorable(machines, part)


Action = Publish | Complete | Deploy | Delete | Decide | Wait | Tick

_publish = st.builds(
    Publish,
    st.sampled_from("aabbc"),
    st.sampled_from((*SOURCES, "p/*", "p/*", "p/*")),
    st.sampled_from((0, 0, *range(len(PAYLOADS)))),
    st.sampled_from((None, None, None, "1", "2")),
    st.integers(0, 3),
)
_complete = st.builds(
    Complete,
    st.sampled_from(("Up", "Down")),
    st.sampled_from(NAMESPACES),
    st.sampled_from((Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.FAILED)),
)
_triggers = st.sampled_from(range(len(TRIGGERS)))
_joins = st.sampled_from((JOIN, OTHER_JOIN))
_redeploy = st.builds(
    Deploy,
    st.just("One"),
    st.sampled_from(NAMESPACES),
    _joins | _joins | _triggers,
    st.sampled_from((None, *SOURCES)),
    st.sampled_from(EVERY),
)
_delete = st.builds(Delete, st.just("One"), st.sampled_from(NAMESPACES))
_decide = st.builds(Decide, st.integers(0, 2), st.integers(1, 9), st.sampled_from((False, True)))
_wait = st.builds(Wait, st.sampled_from((7, 15, 40, 100)))
_tick = st.builds(
    Tick, st.integers(0, 2), st.sampled_from((0, 0, 25)), st.sampled_from((False, False, True))
)
_actions = st.one_of(
    *(_publish, _publish, _publish, _publish, _redeploy, _redeploy, _decide, _decide),
    *(_complete, _delete),
    *(_wait, _tick),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Action]:
    """Two deployments a namespace, and then what may happen to the one of them."""
    first = [
        Deploy(flow, namespace, draw(_triggers), every=draw(st.sampled_from(EVERY)))
        for namespace in NAMESPACES
        for flow in FLOWS
    ]
    return [*first, *draw(st.lists(_actions, min_size=15, max_size=50))]


def run(history: list[Action], partitions: int) -> Machines:
    machines = Machines(partitions=partitions)
    for action in history:
        action.on(machines)
    machines.run()
    return machines


def assert_restorable(machines: Machines, part: Partition) -> None:
    """What trigger-state has is what the live machine knows, in the same order."""
    restored, live = machines.restored(part), part.state
    assert list(restored.subscriptions) == list(live.subscriptions)
    assert list(restored.ids) == list(live.ids)
    assert set(restored.timers) == set(live.timers)
    assert {(e.namespace, e.flow) for e in restored.joins} == {
        (e.namespace, e.flow) for e in live.joins
    }
    for held in live.joins:
        key = (held.namespace, held.flow)
        assert list(restored.joins.waiting(*key)) == list(live.joins.waiting(*key))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(1, 3))
def test_each_event_starts_each_matching_deployment_exactly_once(
    history: list[Action], partitions: int
) -> None:
    machines = run(history, partitions)

    expected = Reference(machines).conclude()
    by_records = [each for each in machines.requests if not _is_due(each)]
    assert Counter(map(_as_run, by_records)) == expected.runs
    assert Counter(_as_due(each) for each in machines.requests if _is_due(each)) == expected.due
    run_ids = [request.run_id for request in machines.requests]
    assert len(set(run_ids)) == len(run_ids)
    forwarded = Counter(
        (each.origin, each.home, frozenset((it.flow, it.version) for it in each.listeners))
        for each in machines.forwards
    )
    assert forwarded == expected.forwards


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(1, 3))
def test_a_log_leads_to_the_same_decisions_however_often_its_machines_crashed(
    history: list[Action], partitions: int
) -> None:
    crashed = run(history, partitions)

    calm = Machines(partitions=partitions, deployments=crashed.deployments, now=crashed.now)
    for part, former in zip(calm.parts, crashed.parts, strict=True):
        part.entries, part.ticks = list(former.entries), list(former.ticks)
        calm.decide_all(part)

    for part in crashed.parts:
        assert_restorable(crashed, part)
    assert Counter(map(_as_run, calm.requests)) == Counter(map(_as_run, crashed.requests))
    assert Counter(map(_what, calm.decisions)) == Counter(map(_what, crashed.decisions))


def _what(decision: Decision) -> Decision:
    return replace(decision, decided_at=START)


def test_the_histories_are_not_dull() -> None:
    """The properties above say little unless every verdict comes up many times."""
    seen: Counter[str] = Counter()

    @seed(7)
    @settings(max_examples=200, deadline=None, database=None)
    @given(histories())
    def count(history: list[Action]) -> None:
        machines = run(history, 3)
        seen.update(each.verdict.value for each in machines.decisions)
        seen["joined"] += sum(len(each.causes) > 1 for each in machines.requests)
        seen["forwarded"] += len(machines.forwards)
        due = [_as_due(each) for each in machines.requests if _is_due(each)]
        seen["scheduled"] += len(due)
        seen["skipping"] += sum(skipped > 0 for *_, skipped in due)

    count()

    for verdict in (*Verdict, "joined", "forwarded", "scheduled", "skipping"):
        assert seen[verdict] >= 20, f"{verdict}: {seen}"
