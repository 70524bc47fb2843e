"""Routes: to which topic a record goes, under which key, with which headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventflow.codec.headers import (
    activation_headers,
    completion_headers,
    event_headers,
    forward_headers,
    type_header,
)
from eventflow.codec.keys import (
    POSITION,
    active_key,
    deployment_key,
    held_key,
    seen_key,
    timer_key,
)
from eventflow.model.completion import Completion
from eventflow.model.decision import Decision
from eventflow.model.deployment import Activation, Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.run import (
    Cancellation,
    Heartbeat,
    RunPosition,
    RunRecord,
    RunReport,
    RunRequest,
    TaskState,
)
from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer, TriggerPosition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.codec.records import AnyRecord
    from eventflow.model.log import Header
    from eventflow.model.topics import Topics

__all__ = ["Route", "routes"]


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one kind of record. With `is_pinned`, its partition is that of the input that
    it belongs to, whatever its key says. With `is_kept`, its topic is compact."""

    topic: str
    key: Callable[[Any], bytes]
    headers: Callable[[Any], tuple[Header, ...]]
    is_pinned: bool = False
    is_kept: bool = False


def routes(topics: Topics) -> Mapping[type[AnyRecord], Route]:
    """The route of every record."""
    return {
        EventRecord: Route(topics.events, _text("namespace"), event_headers),
        Completion: Route(topics.events, _text("namespace"), completion_headers),
        Activation: Route(topics.events, _text("source"), activation_headers),
        Forward: Route(topics.events, _text("home"), forward_headers),
        Deployment: _kept(topics.deployments, deployment_key, "deployment"),
        TriggerPosition: _state(topics.trigger_state, _position, "trigger-position"),
        ActiveVersion: _state(topics.trigger_state, active_key, "active-version"),
        HeldEvent: _state(topics.trigger_state, held_key, "held-event"),
        SeenId: _state(topics.trigger_state, seen_key, "seen-id"),
        Timer: _state(topics.trigger_state, timer_key, "timer"),
        Decision: Route(topics.decisions, _text("namespace"), _only("decision"), is_pinned=True),
        RunRequest: Route(topics.run_requests, _text("run_id"), _only("run-request")),
        RunRecord: _kept(topics.runs, _text("run_id"), "run-record"),
        RunPosition: _state(topics.runs, _position, "run-position"),
        RunReport: Route(topics.run_reports, _text("run_id"), _only("run-report")),
        Cancellation: Route(topics.run_reports, _text("run_id"), _only("cancellation")),
        Heartbeat: _kept(topics.runners, _text("runner_id"), "heartbeat"),
        TaskState: Route(topics.run_log, _text("run_id"), _only("task-state")),
    }


def _kept(topic: str, key: Callable[[Any], bytes], kind: str) -> Route:
    return Route(topic, key, _only(kind), is_kept=True)


def _state(topic: str, key: Callable[[Any], bytes], kind: str) -> Route:
    return Route(topic, key, _only(kind), is_pinned=True, is_kept=True)


def _only(kind: str) -> Callable[[Any], tuple[Header, ...]]:
    headers = (type_header(f"eventflow.{kind}"),)
    return lambda _: headers


def _text(attribute: str) -> Callable[[Any], bytes]:
    return lambda record: str(getattr(record, attribute)).encode()


def _position(_: Any) -> bytes:
    return POSITION
