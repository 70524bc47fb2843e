"""Random histories: the machine against a reference that is slow and obviously right.

Histories are drawn action by action, crashes in between; `Reference` says what has to follow.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from eventflow.model.completion import Outcome
from eventflow.model.decision import Decision, Verdict
from eventflow.model.timetable import Timetable
from eventflow.model.trigger import Trigger
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
from tests.support.matching_reference import Reference, as_due, as_run, is_due

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


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(1, 3))
def test_each_event_starts_each_matching_deployment_exactly_once(
    history: list[Action], partitions: int
) -> None:
    machines = run(history, partitions)

    expected = Reference(machines).conclude()
    by_records = [each for each in machines.requests if not is_due(each)]
    assert Counter(map(as_run, by_records)) == expected.runs
    assert Counter(as_due(each) for each in machines.requests if is_due(each)) == expected.due
    run_ids = [request.run_id for request in machines.requests]
    assert len(set(run_ids)) == len(run_ids)
    forwarded = Counter(
        (each.origin, each.home, frozenset((it.flow, it.version) for it in each.listeners))
        for each in machines.forwards
    )
    assert forwarded == expected.forwards


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
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
    assert Counter(map(as_run, calm.requests)) == Counter(map(as_run, crashed.requests))
    assert Counter(map(_what, calm.decisions)) == Counter(map(_what, crashed.decisions))


def _what(decision: Decision) -> Decision:
    return replace(decision, decided_at=START)


def test_the_histories_are_not_dull() -> None:
    """The properties above say little unless every verdict comes up many times."""
    seen: Counter[str] = Counter()

    @seed(7)
    @settings(max_examples=200, database=None)
    @given(histories())
    def count(history: list[Action]) -> None:
        machines = run(history, 3)
        seen.update(each.verdict.value for each in machines.decisions)
        seen["joined"] += sum(len(each.causes) > 1 for each in machines.requests)
        seen["forwarded"] += len(machines.forwards)
        due = [as_due(each) for each in machines.requests if is_due(each)]
        seen["scheduled"] += len(due)
        seen["skipping"] += sum(skipped > 0 for *_, skipped in due)

    count()

    for verdict in (*Verdict, "joined", "forwarded", "scheduled", "skipping"):
        assert seen[verdict] >= 20, f"{verdict}: {seen}"
