"""Histories made by hand: a small good one, and what a checker's test does to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from eventflow.codec.codec import Codec
from eventflow.model.completion import Completion, Outcome
from eventflow.model.deployment import Activation, CodePackage, Deployment
from eventflow.model.graph import ExitHooks, FlowGraph, StepKind, StepNode
from eventflow.model.log import partition_of
from eventflow.model.matching import Entry, handle, pass_time
from eventflow.model.offset import Offset
from eventflow.model.partition_state import Limits, PartitionState, Place
from eventflow.model.run import Cancellation, RunPosition, RunRecord, RunRequest
from eventflow.model.state import TriggerPosition
from eventflow.model.task import RunEnd, TaskKey
from eventflow.model.topics import Topics
from eventflow.store.artifacts import TaskRecord, write_task
from eventflow.store.runs import RunFile, mark_successful, place_of, write_beginning, write_end
from tests.simulation.history import (
    Cancelled,
    Fate,
    History,
    LoggedRecord,
    Published,
    TaskRun,
    WrittenObject,
)
from tests.simulation.plain_calendar import PlainCalendar, every
from tests.simulation.simulated_store import Bucket, SimulatedStore
from tests.simulation.universe import Universe
from tests.support.machines import START, event, on

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.codec.records import AnyRecord
    from eventflow.model.conclusions import Conclusions
    from eventflow.model.event import EventRecord
    from eventflow.model.timetable import Timetable
    from eventflow.model.trigger import Trigger

__all__ = ["MadeHistory", "good", "scheduled"]

_PARTITIONS = 2
_ID = "T1"
_RUNNER = "runner1"
_PID = 7
_CALENDAR = PlainCalendar()
_GRAPH = FlowGraph(
    "any",
    "flow.py",
    "",
    (
        StepNode("start", StepKind.LINEAR, ("end",), is_join=False, line=1),
        StepNode("end", StepKind.END, (), is_join=False, line=2),
    ),
)


@dataclass
class MadeHistory:
    """An installation without processes: what is said happens at once, as it should.

    Lists may be changed at will before `history` is asked for.
    """

    records: dict[str, list[LoggedRecord]] = field(default_factory=dict)
    published: list[Published] = field(default_factory=list)
    tasks: list[TaskRun] = field(default_factory=list)
    bucket: Bucket = field(init=False)
    is_at_rest: bool = True
    oddities: list[str] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)
    join_events: int = 10_000
    codec: Codec = field(default_factory=lambda: Codec(Topics("", _PARTITIONS, _PARTITIONS)))
    _deployments: dict[tuple[str, str, int], Deployment] = field(default_factory=dict)
    _states: dict[int, PartitionState] = field(default_factory=dict)
    _read: dict[int, int] = field(default_factory=dict)
    _stamps: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.bucket = Bucket(lambda: START, self.stamp)

    @property
    def history(self) -> History:
        """What the checker gets."""
        return History(
            records=self.records,
            objects=[WrittenObject(put.stamp, put.key, put.data) for put in self.bucket.puts],
            published=self.published,
            tasks=self.tasks,
            topic_ids={"events": _ID},
            event_partitions=_PARTITIONS,
            is_at_rest=self.is_at_rest,
            join_events=self.join_events,
            oddities=self.oddities,
            cancelled=self.cancelled,
        )

    def stamp(self) -> int:
        """The next number of the order of all writes."""
        return next(self._stamps)

    def log(
        self, record: AnyRecord, *, partition: int | None = None, sequence: int | None = None
    ) -> LoggedRecord:
        """Append a record. Without `sequence`, it is a commit of its own."""
        new = self.codec.new_record(record, partition=partition)
        where = new.partition
        if where is None:
            where = partition_of(new.key, _PARTITIONS)
        return self._append(new.topic, where, new.key, new.value, sequence or self.stamp())

    def _append(
        self, topic: str, partition: int, key: bytes, value: bytes | None, sequence: int
    ) -> LoggedRecord:
        records = self.records.setdefault(topic, [])
        offset = sum(each.partition == partition for each in records)
        record = LoggedRecord(sequence, topic, partition, offset, key, value, (), START, _PID)
        records.append(record)
        records.sort(key=lambda each: (each.partition, each.offset))
        return record

    def deploy(
        self,
        flow: str,
        trigger: Trigger | None,
        namespace: str = "shop/prod",
        schedule: Timetable | None = None,
        exit_hooks: ExitHooks | None = None,
    ) -> None:
        """The next version of a flow, with its marks."""
        version = 1 + sum(key[:2] == (namespace, flow) for key in self._deployments)
        graph = replace(_GRAPH, exit_hooks=exit_hooks)
        code = CodePackage("0" * 64, 0, "flow.py")
        made = Deployment(
            *(namespace, flow, version, graph, (), trigger, code, START, "test"),
            schedule=schedule,
        )
        self._deployments[made.key] = made
        self.log(made, partition=0)
        project = namespace.partition("/")[0]
        for source in (namespace, f"{project}/*"):
            self._say(Activation(source, namespace, flow, version, False, START))

    def publish(self, record: EventRecord) -> None:
        """An event, acknowledged, and all that follows from it."""
        origin = self._say(record)
        self.published.append(Published(record.namespace, record.name, record.id, origin))

    def execute(
        self, request: RunRequest, outcome: Outcome = Outcome.SUCCEEDED, hook: str = ""
    ) -> None:
        """A run, from its acceptance to its completion; with an exit hook before that."""
        accepted = RunRecord(request.run_id, 1, _RUNNER, request, START)
        self.log(accepted)
        store = self._store()
        write_beginning(store, RunFile(request, _GRAPH, ""), request.causes)
        keys = [self._task(store, request, "start", ())]
        if outcome is Outcome.SUCCEEDED:
            keys.append(self._task(store, request, "end", tuple(keys)))
        reason = "" if outcome is Outcome.SUCCEEDED else "Step end failed: so be it"
        if reason:
            self._begin_task(request, "end", Fate.FAILED)
        manifest = {f"{key.step}/0": key for key in keys}
        run_end = RunEnd(outcome, reason, manifest)
        write_end(store, place_of(request), run_end, epoch=1, at=START, nonce="n")
        if outcome is Outcome.SUCCEEDED:
            mark_successful(store, request)
        if hook:
            began, how = self.stamp(), (Fate.DONE, "", self.stamp(), hook)
            task = TaskRun(began, request.run_id, 1, "exit-hook", "0", 0, _PID, *how)
            self.tasks.append(task)
        self._end(accepted, outcome, reason)

    def cancel(self, request: RunRequest) -> None:
        """A run that waits, cancelled: it ends without a start."""
        asked = Cancellation(request.run_id, "cancelled by test", START, request)
        report = self.log(asked)
        self.cancelled.append(Cancelled(self.stamp(), request.run_id))
        store, end = self._store(), RunEnd(Outcome.CANCELLED, asked.reason, {})
        write_beginning(store, RunFile(request, _GRAPH, ""), request.causes)
        write_end(store, place_of(request), end, epoch=1, at=START, nonce="n")
        record = RunRecord(request.run_id, 1, _RUNNER, request, START)
        self._end(record, Outcome.CANCELLED, asked.reason, next_report=report.offset + 1)

    def _end(
        self, accepted: RunRecord, outcome: Outcome, reason: str, next_report: int = 0
    ) -> None:
        request, sequence = accepted.request, self.stamp()
        ended = replace(accepted, outcome=outcome, reason=reason, finished_at=START)
        self.log(ended, sequence=sequence)
        namespace, flow, version = request.namespace, request.flow, request.version
        completion = Completion(
            namespace, flow, version, request.run_id, 1, outcome, reason, START, START
        )
        self._say(completion, sequence=sequence)
        partition = partition_of(request.run_id.encode(), _PARTITIONS)
        read = self._read[partition] = max(next_report, self._read.get(partition, 0))
        self.log(RunPosition("R", sequence, "P", read), partition=partition, sequence=sequence)

    def _task(
        self, store: SimulatedStore, request: RunRequest, step: str, inputs: tuple[TaskKey, ...]
    ) -> TaskKey:
        self._begin_task(request, step, Fate.DONE)
        key, follows = TaskKey(1, step), ("end",) if step == "start" else ()
        record = TaskRecord(key, {}, follows, (), START, START, inputs)
        write_task(store, place_of(request), record, step)
        return key

    def _begin_task(self, request: RunRequest, step: str, fate: Fate) -> None:
        why = "UserCodeFailed" if fate is Fate.FAILED else ""
        self.tasks.append(TaskRun(self.stamp(), request.run_id, 1, step, "0", 0, _PID, fate, why))

    def _store(self) -> SimulatedStore:
        return SimulatedStore(Universe.by(0, {}, frozenset()), self.bucket)

    def _say(self, body: Any, *, sequence: int | None = None) -> Offset:
        record = self.log(body, sequence=sequence)
        origin = Offset("events", _ID, record.partition, record.offset)
        state = self._states.setdefault(
            record.partition,
            PartitionState(Place(record.partition, _PARTITIONS), Limits(self.join_events)),
        )
        entry = Entry(origin, body, START)
        found = handle(state, entry, START, self._find, _CALENDAR)
        self._conclude(found, record.partition, record.offset + 1)
        return origin

    def pass_time(self, namespace: str, now: datetime) -> None:
        """It is `now` where the records of a namespace stand, and no record has come."""
        partition = partition_of(namespace.encode(), _PARTITIONS)
        found = pass_time(self._states[partition], now, self._find, _CALENDAR)
        events = [each for each in self.records["events"] if each.partition == partition]
        self._conclude(found, partition, len(events))

    def _conclude(self, found: Conclusions, partition: int, next_offset: int) -> None:
        commit = self.stamp()
        for request in found.requests:
            self.log(request, sequence=commit)
        for decision in found.decisions:
            self.log(decision, partition=partition, sequence=commit)
        for change in found.changes:
            new = self.codec.new_record(change.record, partition=partition)
            value = None if change.is_forgotten else new.value
            self._append(new.topic, partition, new.key, value, commit)
        position = TriggerPosition(_ID, next_offset, START)
        self.log(position, partition=partition, sequence=commit)
        for forward in found.forwards:
            self._say(forward, sequence=commit)

    def _find(self, namespace: str, flow: str, version: int) -> Deployment | None:
        return self._deployments.get((namespace, flow, version))

    # -- for tests -------------------------------------------------------------------------------

    def requests(self, flow: str) -> list[RunRequest]:
        """What was requested of a flow."""
        found = (self.codec.decode(each.value) for each in self.records.get("run-requests", ()))
        return [each for each in found if isinstance(each, RunRequest) and each.flow == flow]

    def place(self, kind: type[AnyRecord], number: int = 0) -> tuple[list[LoggedRecord], int]:
        """The list that has the n-th record of a kind, and its index in it."""
        for records in self.records.values():
            found = [at for at, each in enumerate(records) if self._is(each, kind)]
            if found:
                return records, found[number]
        raise LookupError(kind.__name__)

    def drop(self, kind: type[AnyRecord], number: int = 0) -> None:
        """As if the n-th record of a kind had never been written."""
        records, at = self.place(kind, number)
        del records[at]

    def again(self, kind: type[AnyRecord], number: int = 0, **changes: Any) -> None:
        """Append the n-th record of a kind once more, with changes."""
        records, at = self.place(kind, number)
        record: Any = self.codec.decode(records[at].value)
        self.log(replace(record, **changes), partition=records[at].partition)

    def change(self, kind: type[AnyRecord], number: int = 0, **changes: Any) -> None:
        """Write other things into the n-th record of a kind."""
        records, at = self.place(kind, number)
        record: Any = self.codec.decode(records[at].value)
        value = self.codec.encode(replace(record, **changes))
        records[at] = replace(records[at], value=value)

    def _is(self, record: LoggedRecord, kind: type[AnyRecord]) -> bool:
        return record.value is not None and isinstance(self.codec.decode(record.value), kind)


def good() -> MadeHistory:
    """One event for the project that starts `Train` and waits in `Merge`; one that completes the
    join; and one that fails `Train` and waits."""
    made = MadeHistory()
    made.deploy("Train", on("landed"))
    made.deploy("Merge", on("landed", "approved"))
    made.publish(event("landed", "shop/*", id="e1"))
    made.publish(event("approved", "shop/prod", id="e2"))
    made.publish(event("landed", "shop/prod", id="e3"))
    made.publish(event("landed", "shop/prod", id="e3"))
    for request in made.requests("Merge"):
        made.execute(request)
    succeeds, fails = made.requests("Train")
    made.execute(succeeds)
    made.execute(fails, Outcome.FAILED)
    return made


def scheduled() -> MadeHistory:
    """`Tick` is due every ten seconds: two were missed before the first, the next is in time."""
    made = MadeHistory()
    made.deploy("Tick", None, schedule=every(10))
    made.pass_time("shop/prod", START + timedelta(seconds=31))
    made.pass_time("shop/prod", START + timedelta(seconds=40))
    for request in made.requests("Tick"):
        made.execute(request)
    return made
