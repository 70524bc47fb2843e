"""A history in a local store, written object by object as runners write it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.offset import Offset
from eventflow.model.run import Cause, RunRequest, run_id_of
from eventflow.model.task import RunEnd, RunPlan, TaskKey, TaskPlan
from eventflow.model.timetable import due_origin
from eventflow.model.trigger import Source
from eventflow.store.artifacts import TaskRecord, save_values, write_task
from eventflow.store.layout import RunPlace
from eventflow.store.live_output import Portion, encode_piece
from eventflow.store.runs import RunFile, mark_successful, place_of, write_beginning, write_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.context import World

__all__ = ["AT", "History", "SetClock", "event", "event_offset", "plan"]

AT = datetime(2026, 1, 31, 6, tzinfo=UTC)
_TOPIC, _TOPIC_ID = "eventflow.events", "topicid1"


@dataclass
class SetClock:
    """A clock that shows what it was set to."""

    at: datetime = AT

    def now(self) -> datetime:
        return self.at

    def elapsed(self) -> timedelta:
        return self.at - AT


def event_offset(offset: int, *, topic_id: str = _TOPIC_ID) -> Offset:
    """An offset of partition 0 of the events."""
    return Offset(_TOPIC, topic_id, 0, offset)


def event(name: str, offset: int, payload: bytes = b"{}", by: RunRequest | None = None) -> Cause:
    """An event that led to a run, published from outside, or by a task of `by`."""
    return Cause(
        origin=event_offset(offset),
        kind=Source.EVENT,
        event_id=f"id-{offset}",
        name=name,
        namespace=by.namespace if by else "shop/*",
        at=AT + timedelta(seconds=offset),
        payload=payload,
        content_type="application/json",
        run_namespace=by.namespace if by else "",
        flow=by.flow if by else "",
        run_id=by.run_id if by else None,
    )


def due(at: datetime, namespace: str = "shop/prod") -> Cause:
    """A due time of a schedule that led to a run."""
    payload = b'{"cron":"0 9 * * *","timezone":"Asia/Tokyo","due_at":"...","skipped":2}'
    return Cause(
        origin=due_origin(at),
        kind=Source.SCHEDULE,
        event_id=f"{at:%Y-%m-%dT%H:%M:%SZ}",
        name="0 9 * * * Asia/Tokyo",
        namespace=namespace,
        at=at,
        payload=payload,
        content_type="application/json",
    )


def plan(
    namespace: str, *, attempt: int = 0, epoch: int = 1, version: int = 1, **request: Any
) -> TaskPlan:
    """The step `train` of a run of `Train`, about to begin."""
    values: dict[str, Any] = {
        "parameters": {},
        "causes": (),
        "causes_digest": None,
        "roots": (),
        "hops": 0,
        **request,
    }
    run_id = run_id_of(namespace, "Train", [event_offset(1)])
    run = RunRequest(run_id, namespace, "Train", version, requested_at=AT, **values)
    whole = RunPlan(run, _graph("Train"), "/", "flow.py", epoch)
    return TaskPlan(whole, TaskKey(epoch, "train", "0", attempt), ())


@dataclass
class History:
    """Writes runs into the store of a world."""

    world: World
    count: int = field(default=0)

    def begin(
        self,
        flow: str = "Train",
        namespace: str = "shop/prod",
        *,
        causes: Sequence[Cause] = (),
        version: int = 1,
        at: datetime | None = None,
        tags: Sequence[str] = (),
        graph: FlowGraph | None = None,
        code_digest: str = "",
        **more: Any,
    ) -> RunRequest:
        """A run that was requested and has begun; each a minute after the one before. `more` are
        fields of its request."""
        self.count += 1
        seed = [cause.origin for cause in causes] or [event_offset(10**6 + self.count)]
        request = RunRequest(
            run_id=run_id_of(namespace, flow, seed),
            namespace=namespace,
            flow=flow,
            version=version,
            parameters={},
            causes=tuple(causes),
            causes_digest=None,
            roots=(),
            hops=1,
            requested_at=at or AT + timedelta(minutes=self.count),
            tags=tuple(tags),
            system_tags=("user:ann", "python_version:3.14.1"),
            **more,
        )
        run = RunFile(request, graph or _graph(flow), code_digest)
        write_beginning(self.world.store, run, causes)
        return request

    def task(
        self,
        run: RunRequest,
        step: str,
        *,
        task: str = "0",
        inputs: Sequence[TaskKey] = (),
        epoch: int = 1,
        attempt: int = 0,
        published: Sequence[Offset] = (),
        origin: str = "",
        **values: Any,
    ) -> TaskKey:
        """An attempt that succeeded."""
        key = TaskKey(epoch, step, task, attempt)
        project = run.namespace.partition("/")[0]
        record = TaskRecord(
            key=key,
            artifacts=save_values(self.world.store, project, values),
            next_steps=(),
            published=tuple(published),
            started_at=run.requested_at,
            finished_at=run.requested_at + timedelta(seconds=5),
            inputs=tuple(inputs),
            origin=origin,
        )
        write_task(self.world.store, place_of(run), record, "nonce")
        return key

    def end(
        self,
        run: RunRequest,
        *keys: TaskKey,
        outcome: Outcome = Outcome.SUCCEEDED,
        reason: str = "",
    ) -> None:
        """The end of a run, with the attempts that count."""
        manifest = {f"{key.step}/{key.task}": key for key in keys}
        write_end(
            self.world.store,
            place_of(run),
            RunEnd(outcome, reason, manifest),
            epoch=max((key.epoch for key in keys), default=1),
            at=run.requested_at + timedelta(seconds=10),
            nonce="nonce",
        )
        if outcome is Outcome.SUCCEEDED:
            mark_successful(self.world.store, run)

    def succeeded(
        self,
        flow: str = "Train",
        namespace: str = "shop/prod",
        *,
        causes: Sequence[Cause] = (),
        published: Sequence[Offset] = (),
        **results: Any,
    ) -> RunRequest:
        """A whole run, whose step `end` has `results`."""
        run = self.begin(flow, namespace, causes=causes)
        start = self.task(run, "start", published=published)
        self.end(run, start, self.task(run, "end", **results))
        return run

    def completion(self, run: RunRequest, offset: int) -> Cause:
        """The notice of a run's end, as a cause of another."""
        return replace(
            event(run.flow, offset, b'{"flow":"%s"}' % run.flow.encode(), by=run),
            kind=Source.COMPLETION,
            event_id=run.run_id,
        )

    def output(self, run: RunRequest, key: TaskKey, name: str, text: str) -> None:
        """What an attempt printed."""
        place = RunPlace(run.namespace, run.flow, run.run_id)
        root = place.attempt(key.epoch, key.step, key.task, key.attempt)
        self.world.store.put_if_absent(root + name, text.encode())

    def so_far(self, run: RunRequest, key: TaskKey, number: int, **streams: Portion) -> None:
        """A piece of what an attempt at work has printed."""
        prefix = f"{place_of(run).live(key)}0000000000001-a/"
        self.world.store.put_if_absent(f"{prefix}{number:08d}", encode_piece(streams))


def _graph(flow: str) -> FlowGraph:
    steps = (
        StepNode("start", StepKind.LINEAR, ("end",), False, 5),
        StepNode("end", StepKind.END, (), False, 9),
    )
    return FlowGraph(flow, "flow.py", "", steps)
