"""Records of every kind: one example each, and hypothesis strategies derived from annotations."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from eventflow.codec.records import AnyRecord
from eventflow.model import (
    completion,
    deployment,
    event,
    forward,
    graph,
    offset,
    policy,
    run,
    state,
    timetable,
    trigger,
)
from eventflow.model.completion import Completion, Outcome
from eventflow.model.decision import Decision, Verdict
from eventflow.model.deployment import Activation, CodePackage, Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward, Listener
from eventflow.model.graph import FlowGraph
from eventflow.model.offset import Offset
from eventflow.model.run import (
    Cancellation,
    Cause,
    Heartbeat,
    RunPosition,
    RunRecord,
    RunReport,
    RunRequest,
    TaskState,
)
from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer, TriggerPosition
from eventflow.model.timetable import Timetable
from eventflow.model.trigger import Source

__all__ = ["AT", "EXAMPLES", "ORIGIN", "event_record", "example_of", "hints_of", "strategy_of"]

R = TypeVar("R")

AT = datetime(2026, 1, 31, 6, 30, 15, 123456, tzinfo=UTC)
ORIGIN = Offset("eventflow.events", "abcDEF-_0123456789abcd", 3, 41)
_NS, _FLOW, _RUN = "shop/prod", "Train", "rabcdefghijklmnopqrst"


def event_record(**changes: Any) -> EventRecord:
    """An event, with `changes`."""
    values: dict[str, Any] = {
        "id": "e1",
        "id_set": False,
        "name": "data_updated",
        "namespace": "shop/*",
        "payload": b"{}",
        "content_type": "application/json",
        "published_at": AT,
        "source": "etl",
    }
    return EventRecord(**(values | changes))


_CAUSE = Cause(ORIGIN, Source.EVENT, "e1", "data_updated", "shop/*", AT, b"{}", "application/json")
_REQUEST = RunRequest(
    *(_RUN, _NS, _FLOW, 2, {"day": '"x"'}, (_CAUSE,), None, (ORIGIN,), 1, AT),
    tags=("nightly",),
    system_tags=("user:ann",),
)

EXAMPLES: tuple[AnyRecord, ...] = (
    event_record(),
    Completion(_NS, _FLOW, 2, _RUN, 1, Outcome.SUCCEEDED, "", AT, AT),
    Activation("shop/*", _NS, _FLOW, 2, is_deleted=False, marked_at=AT),
    Forward(_NS, ORIGIN, event_record(), (Listener(_FLOW, 2),)),
    Deployment(
        *(_NS, _FLOW, 2, FlowGraph(_FLOW, "train.py", "", ()), (), None),
        CodePackage("ab" * 32, 100, "train.py"),
        AT,
        "ann",
    ),
    TriggerPosition(ORIGIN.topic_id, 42, AT),
    ActiveVersion("shop/*", _NS, _FLOW, 2, 1),
    HeldEvent(_NS, _FLOW, _CAUSE, (ORIGIN,), 0, 300),
    SeenId(b"\x01" * 16, b"\x02" * 16, AT),
    Timer(_NS, _FLOW, Timetable("0 9 * * *", "Europe/Berlin"), AT, AT),
    Decision(ORIGIN, "data_updated", "e1", _NS, _FLOW, 2, Verdict.STARTED, "", _RUN, AT),
    _REQUEST,
    RunRecord(_RUN, 1, "runner1", _REQUEST, AT),
    RunPosition("requests-id", 5, "reports-id", 6),
    RunReport(_RUN, 1, "runner1"),
    Cancellation(_RUN, "by ann", AT, _REQUEST),
    Heartbeat("runner1", "host", "boot", 77, 2, (), is_gone=False, sent_at=AT),
    TaskState(_NS, _FLOW, _RUN, 1, "start", "0", 0, "running", AT),
)

_NAMES = {
    name: each
    for module in (
        completion,
        deployment,
        event,
        forward,
        graph,
        offset,
        policy,
        run,
        state,
        timetable,
        trigger,
    )
    for name, each in vars(module).items()
    if isinstance(each, type)
} | {"datetime": datetime}

_SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**31), 2**31 - 1),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    bytes: st.binary(max_size=12),
    float: st.floats(allow_nan=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def example_of(kind: type[R]) -> R:
    """The example of that kind."""
    return next(each for each in EXAMPLES if isinstance(each, kind))


def hints_of(kind: Any) -> dict[str, Any]:
    """The annotations of a record's dataclass, evaluated."""
    return get_type_hints(kind, localns=_NAMES)


def strategy_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Every value that the annotation allows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return st.none()
    if origin is UnionType:
        return st.one_of(*(strategy_of(each) for each in arguments))
    if origin is tuple:
        return st.lists(strategy_of(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(strategy_of(arguments[0]), strategy_of(arguments[1]), max_size=2)
    return _of_class(annotation)


def _of_class(kind: type) -> st.SearchStrategy[Any]:
    if is_dataclass(kind):
        hints = hints_of(kind)
        return st.builds(
            kind, **{each.name: strategy_of(hints[each.name]) for each in fields(kind)}
        )
    if issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    return _SCALARS[kind]
