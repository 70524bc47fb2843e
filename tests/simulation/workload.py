"""What people and jobs do in a simulated installation: acts, drawn by a seed.

Two branches of one project, so that what is published to the project is forwarded from one
partition to others, and another project that must hear nothing of it. Every act stands for
itself, so that a failing example can be shrunk by leaving acts out.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from eventflow.model.deployment import ParameterSpec, ParameterType
from eventflow.model.graph import ExitHooks, FlowGraph, StepKind, StepNode
from eventflow.model.policy import StepPolicy
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger
from tests.simulation.plain_calendar import every

if TYPE_CHECKING:
    from eventflow.model.timetable import Timetable

__all__ = ["Act", "Cancel", "Delete", "Deploy", "Design", "Publish", "SendAgain", "Which"]
__all__ += ["drawn", "drawn_cancels", "drawn_schedules", "published_by", "with_hooks"]

_PUBLISHES = "publishes "
_PROD, _TEST, _OTHER = "shop/prod", "shop/test.b", "other/prod"
_SOURCES = ("shop/*", "shop/*", "shop/*", "shop/prod", "shop/test.b", "other/*", "other/prod")
_SECOND = timedelta(seconds=1)
_SHORTEST, _LONGEST = 12, 45


@dataclass(frozen=True, slots=True)
class Design:
    """A flow as it would be deployed."""

    graph: FlowGraph
    trigger: Trigger | None
    parameters: tuple[ParameterSpec, ...] = ()
    schedule: Timetable | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """A job publishes an event; with an `id`, it publishes it until it has an answer."""

    after: timedelta
    namespace: str
    name: str
    payload: bytes
    id: str | None


@dataclass(frozen=True, slots=True)
class Deploy:
    """Somebody deploys a flow, again if it fails."""

    after: timedelta
    namespace: str
    design: Design


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes a deployment."""

    after: timedelta
    namespace: str
    flow: str


@dataclass(frozen=True, slots=True)
class SendAgain:
    """An operator sends a request again that stands in the log: who restores a topic from a copy,
    or is not sure, does. The record says so in a header."""

    after: timedelta


class Which(StrEnum):
    """The run that somebody cancels: the last one that was requested, any, or one that never
    was."""

    LAST = "last"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody cancels a run, so many times."""

    after: timedelta
    which: Which
    times: int


Act = Publish | Deploy | Delete | SendAgain | Cancel


def published_by(step: StepNode) -> str | None:
    """The name of the event that a task of the step publishes: its docstring says so."""
    return step.doc.removeprefix(_PUBLISHES) if step.doc.startswith(_PUBLISHES) else None


def drawn(by: random.Random) -> tuple[Act, ...]:
    """What happens in one installation, in the order of time."""
    lasts = by.randint(_SHORTEST, _LONGEST) * _SECOND
    acts = [*_first_deploys(by), *_changes(by, lasts), *_publishes(by, lasts)]
    if by.random() < 0.2:
        acts.append(SendAgain(_within(by, lasts)))
    return tuple(sorted(acts, key=lambda act: act.after))


def drawn_schedules(by: random.Random, lasts: timedelta) -> tuple[Act, ...]:
    """A flow that the clock starts, in half of the installations: deployed, then deployed again
    with an equal schedule, with another one, or with none, and deleted, as it comes. In the end
    it is deleted or seldom started, so that the installation can come to rest."""
    if by.random() < 0.5:
        return ()
    acts: list[Act] = []
    for namespace in by.sample((_PROD, _TEST, _OTHER), by.randint(1, 2)):
        acts.append(Deploy(_within(by, 3 * _SECOND), namespace, _tick(by)))
        for _ in range(by.randint(0, 3)):
            after = _within(by, lasts)
            if by.random() < 0.2:
                acts.append(Delete(after, namespace, "Tick"))
            else:
                acts.append(Deploy(after, namespace, _tick(by)))
        seldom = Deploy(lasts, namespace, Design(_graph("Tick"), None, schedule=every(60)))
        acts.append(by.choice((seldom, Delete(lasts, namespace, "Tick"))))
    return tuple(acts)


def drawn_cancels(by: random.Random, lasts: timedelta) -> tuple[Act, ...]:
    """Cancellations, in half of the installations: mostly of the run that was requested last,
    which may wait, or have begun, or have ended."""
    if by.random() < 0.5:
        return ()
    which = (Which.LAST, Which.LAST, Which.LAST, Which.ANY, Which.ANY, Which.NONE)
    return tuple(
        Cancel(_within(by, lasts), by.choice(which), by.choice((1, 1, 2)))
        for _ in range(by.randint(1, 8))
    )


def with_hooks(by: random.Random, acts: tuple[Act, ...]) -> tuple[Act, ...]:
    """The same with exit hooks for some of what is deployed, in half of the installations."""
    if by.random() < 0.5:
        return acts
    return tuple(_hooked(by, act) if isinstance(act, Deploy) else act for act in acts)


def _hooked(by: random.Random, act: Deploy) -> Deploy:
    on_success = by.choice(((), ("tell",), ("tell", "tidy")))
    on_error = by.choice(((), ("mourn",), ("mourn", "tidy")))
    if not on_success and not on_error:
        return act
    graph = replace(act.design.graph, exit_hooks=ExitHooks(on_success, on_error))
    return replace(act, design=replace(act.design, graph=graph))


def _first_deploys(by: random.Random) -> list[Act]:
    wanted = [
        (_PROD, _train(by)),
        (_TEST, _train(by)),
        (_PROD, _report()),
        (by.choice((_PROD, _TEST)), _merge(by)),
        (_PROD, _scored()),
        (_OTHER, _train(by)),
    ]
    count = by.randint(3, len(wanted))
    return [Deploy(_within(by, _SECOND), *each) for each in by.sample(wanted, count)]


def _changes(by: random.Random, lasts: timedelta) -> list[Act]:
    """Redeploys with an equal and with another trigger, and deletions."""
    acts: list[Act] = []
    for _ in range(by.randint(0, 3)):
        after, namespace = _within(by, lasts), by.choice((_PROD, _PROD, _TEST))
        if by.random() < 0.2:
            acts.append(Delete(after, namespace, by.choice(("Train", "Merge", "Report"))))
        else:
            design = by.choice((_train(by), _merge(by), _report()))
            acts.append(Deploy(after, namespace, design))
    return acts


def _publishes(by: random.Random, lasts: timedelta) -> list[Act]:
    acts: list[Act] = []
    for number in range(by.randint(5, 14)):
        name = by.choice(("landed", "landed", "approved"))
        payload = _payload(by, number)
        id_ = by.choice((None, f"id-{number}", f"id-{number}"))
        act = Publish(_within(by, lasts), by.choice(_SOURCES), name, payload, id_)
        acts.append(act)
        if id_ is not None and by.random() < 0.2:  # another process publishes the same fact
            is_other_fact = by.random() < 0.2
            payload = _payload(by, -number) if is_other_fact else payload
            acts.append(Publish(_within(by, lasts), act.namespace, name, payload, id_))
    return acts


def _payload(by: random.Random, number: int) -> bytes:
    """Mostly what `Train` takes; sometimes a field is missing, or cannot be converted."""
    rows: object = "many" if by.random() < 0.08 else number
    fields = {"day": f"2026-01-{number % 28 + 1:02d}", "rows": rows}
    if by.random() < 0.08:
        del fields["day"]
    return json.dumps(fields).encode()


def _within(by: random.Random, lasts: timedelta) -> timedelta:
    return timedelta(milliseconds=by.randint(0, lasts // timedelta(milliseconds=1)))


# -- flows ----------------------------------------------------------------------------------------


def _train(by: random.Random) -> Design:
    """Starts by one event, with parameters; the last step publishes one."""
    parameters = (
        ParameterSpec("day", ParameterType.STR, None, is_required=True),
        ParameterSpec("rows", ParameterType.INT, "1", is_required=False),
    )
    mappings = tuple(FieldMapping(each.name, each.name) for each in parameters)
    name = by.choice(("landed", "landed", "landed", "approved"))
    trigger = Trigger(Source.EVENT, (Subscription(name, mappings),))
    middle = by.choice(((), ("train",), ("left", "right")))
    graph = _graph("Train", *middle, publishes="scored", each=by.random() < 0.3)
    return Design(_insisting(graph, by), trigger, parameters)


def _merge(by: random.Random) -> Design:
    """Starts by two events together."""
    names = by.choice((("landed", "approved"), ("landed", "approved"), ("landed", "scored")))
    return Design(_graph("Merge"), Trigger(Source.EVENT, tuple(Subscription(n) for n in names)))


def _report() -> Design:
    """Starts when `Train` has succeeded."""
    return Design(_graph("Report"), Trigger(Source.COMPLETION, (Subscription("Train"),)))


def _scored() -> Design:
    """Starts by what tasks of `Train` publish."""
    return Design(_graph("Scored", "step"), Trigger(Source.EVENT, (Subscription("scored"),)))


def _tick(by: random.Random) -> Design:
    """Starts by the clock; some versions by an event too, or by that alone."""
    schedule = by.choice((every(5), every(9), every(11), every(25), None))
    landed = Trigger(Source.EVENT, (Subscription("landed"),))
    trigger = landed if schedule is None else by.choice((None, None, landed))
    return Design(_graph("Tick"), trigger, schedule=schedule)


def _graph(flow: str, *middle: str, publishes: str = "", each: bool = False) -> FlowGraph:
    """`start`, one or two steps side by side, `end`; the one step may be for `each` item."""
    doc = f"{_PUBLISHES}{publishes}" if publishes else ""
    kind = StepKind.SPLIT if len(middle) > 1 else StepKind.LINEAR
    if each and len(middle) == 1:
        kind = StepKind.FOREACH
    steps = (
        StepNode("start", kind, middle or ("end",), is_join=False, line=1),
        *(StepNode(name, StepKind.LINEAR, ("end",), is_join=False, line=2) for name in middle),
        StepNode("end", StepKind.END, (), is_join=kind is not StepKind.LINEAR, line=3, doc=doc),
    )
    return FlowGraph(flow, "flow.py", "", steps)


def _insisting(graph: FlowGraph, by: random.Random) -> FlowGraph:
    """Some flows try a failed task again, and some go on after its last failure."""
    if by.random() < 0.5:
        return graph
    policy = StepPolicy(
        retries=by.randint(1, 2),
        retry_wait_s=by.choice((0.0, 0.5)),
        is_caught=by.random() < 0.3,
    )
    not_caught = replace(policy, is_caught=False)
    steps = tuple(
        replace(node, policy=not_caught if node.kind is StepKind.FOREACH else policy)
        for node in graph.steps
    )
    return replace(graph, steps=steps)
