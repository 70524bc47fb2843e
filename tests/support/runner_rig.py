"""An installation for tests of the runner: real runners side by side in one thread, by hand.

Bus, store and runners are the real ones; time, hosts and the ends of tasks are the test's. A
runner process has a bus, a store and an executor of its own, as from another process. The test
steps it, stops it at a fault point for a while, or drops it there, as if it had died.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client import CollectorRegistry

from eventflow.bus.deployment_log import DeploymentLog
from eventflow.bus.port import Bus
from eventflow.bus.reading import read_to_end
from eventflow.bus.schema_topic import SchemaLookup, publish_schemas
from eventflow.bus.sqlite import SqliteBus
from eventflow.codec.codec import Codec
from eventflow.codec.dead_letters import read_dead_letter
from eventflow.codec.records import AnyRecord
from eventflow.effects import Clock, Effects, SystemClock
from eventflow.errors import BusUnreachable
from eventflow.execution.code import package, store_package
from eventflow.metrics import RunnerMetrics
from eventflow.model.completion import Completion
from eventflow.model.dead_letter import DeadLetter
from eventflow.model.deployment import CodePackage, Deployment
from eventflow.model.graph import ExitHooks, FlowGraph, StepKind, StepNode
from eventflow.model.log import NewRecord, TopicPartition, partition_of
from eventflow.model.offset import Offset
from eventflow.model.run import (
    Cause,
    Heartbeat,
    RunPosition,
    RunRecord,
    RunReport,
    RunRequest,
    run_id_of,
)
from eventflow.model.topics import Topics
from eventflow.model.trigger import Source
from eventflow.services.log_parts import LogParts
from eventflow.services.presence import Host, Presence
from eventflow.services.runner import Runner
from eventflow.services.runner_parts import RunnerParts
from eventflow.services.slots import Slots
from eventflow.services.task_states import TaskStates
from eventflow.settings import RunnerSettings
from eventflow.store.layout import RunPlace
from eventflow.store.local import LocalStore
from eventflow.store.port import Store
from eventflow.store.runs import EndFile, read_end
from tests.contract.buses import Backend
from tests.contract.store_fixtures import S3Place
from tests.support.hand_clock import HandClock
from tests.support.runner_doubles import CanBeCut, Crashed, HandExecutor, Moments

__all__ = ["RunnerProcess", "RunnerRig", "any_rig", "rig"]

R = TypeVar("R")

NAMESPACE, FLOW = "p/prod", "Train"
SESSION = timedelta(seconds=6)
SECOND = timedelta(seconds=1)
_ROUNDS = 40
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class RunnerProcess:
    """A runner, and what the test holds of it."""

    runner: Runner
    tasks: HandExecutor
    store: CanBeCut
    moments: Moments
    host: Host
    registry: CollectorRegistry
    patience: timedelta

    def step(self) -> None:
        """As `serving` does it, for which a slow broker is no error."""
        with suppress(BusUnreachable) if self.patience else nullcontext():
            self.runner.step(self.patience)

    def count(self, name: str, **labels: str) -> float:
        """A metric; zero when nothing was counted."""
        return self.registry.get_sample_value(f"eventflow_{name}", labels) or 0.0

    @property
    def partitions(self) -> float:
        return self.count("runner_partitions")


@dataclass
class RunnerRig:
    """One installation; `partitions` of the topics of runs."""

    make_bus: Callable[[], Bus]
    folder: Path
    prefix: str
    store: Store
    clock: Clock
    partitions: int = 1
    patience: timedelta = timedelta()
    processes: list[RunnerProcess] = field(default_factory=list)
    opened: list[Bus] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    run_count: int = 0

    def __post_init__(self) -> None:
        self.topics = Topics(self.prefix, 1, self.partitions)
        self.codec = Codec(self.topics)
        self.bus = self.connect()
        self.bus.ensure(self.topics.specs(), create=True)
        publish_schemas(self.bus, self.codec, self.topics)

    def connect(self) -> Bus:
        """A bus as from another process."""
        bus = self.make_bus()
        self.opened.append(bus)
        return bus

    def close(self) -> None:
        for bus in reversed(self.opened):
            bus.close()

    # -- runners ---------------------------------------------------------------------------------

    def process(self, *, slots: int = 2, host: str | None = None) -> RunnerProcess:
        """A further runner, on a host of its own unless it is named."""
        pid = 1000 + len(self.processes)
        where = Host(host or f"host-{pid}", "boot", pid, lambda other: other not in self.dead)
        moments, store = Moments(), CanBeCut(self.store)
        effects = Effects(clock=self.clock, faults=moments)
        tasks, registry = HandExecutor(self.store, self.clock), CollectorRegistry()
        runner = self._runner(slots, where, tasks, store, effects, registry)
        process = RunnerProcess(runner, tasks, store, moments, where, registry, self.patience)
        self.processes.append(process)
        return process

    def _runner(
        self,
        slots: int,
        host: Host,
        tasks: HandExecutor,
        store: CanBeCut,
        effects: Effects,
        registry: CollectorRegistry,
    ) -> Runner:
        """As `app.runner` composes it."""
        bus, codec, settings = self.connect(), Codec(self.topics), RunnerSettings()
        decoder = SchemaLookup(bus, codec, self.topics)
        log = LogParts(bus, codec, decoder, self.topics, effects)
        task_states, metrics = TaskStates(bus, codec, effects), RunnerMetrics(registry)
        return Runner(
            RunnerParts(
                log=log,
                store=store,
                deployments=DeploymentLog(bus, decoder, self.topics),
                presence=Presence(log, settings, host, slots),
                slots=Slots(
                    slots,
                    store=store,
                    executor=tasks,
                    cache=self.folder / "cache",
                    effects=effects,
                    metrics=metrics,
                    on_task_state=task_states.add,
                ),
                task_states=task_states,
                settings=settings,
                metrics=metrics,
            )
        )

    def steps(self, *processes: RunnerProcess, rounds: int = 5) -> None:
        """Step some times, to see what does not happen; no time passes by the hand clock."""
        for _ in range(rounds):
            for process in processes:
                process.step()

    def until(self, condition: Callable[[], object], *processes: RunnerProcess) -> None:
        """Step until it is so; by the hand clock no time passes."""
        deadline, rounds = time.monotonic() + _PATIENCE_SECONDS, 0
        while not condition():
            self.steps(*processes, rounds=1)
            rounds += 1
            is_late = time.monotonic() > deadline if self.patience else rounds > _ROUNDS
            assert not is_late, "the runners did not get there"

    def pass_time(self, seconds: float, *processes: RunnerProcess) -> None:
        """Let time pass, second by second, for the processes that are well; the rest hang."""
        for _ in range(round(seconds)):
            self.jump(1)
            self.steps(*processes, rounds=2)

    def jump(self, seconds: float) -> None:
        """Let time pass while every process hangs."""
        assert isinstance(self.clock, HandClock)
        self.clock.move(timedelta(seconds=seconds))

    def outlast_session(self, process: RunnerProcess) -> None:
        """Step until it has the partitions of those that hang or died, and has seen to them."""
        if isinstance(self.clock, HandClock):
            self.pass_time(SESSION / SECOND + 1, process)
        self.own(process)

    def own(self, *processes: RunnerProcess) -> None:
        """Step until each of them owns its share of the partitions, and has seen the others."""
        share = self.partitions / len(processes)
        self.until(lambda: all(each.partitions == share for each in processes), *processes)
        self.steps(*processes)

    def crash(self, process: RunnerProcess, point: str) -> None:
        """Step until it dies at a fault point."""
        process.moments.die_at(point)
        with pytest.raises(Crashed, match=point):
            self.until(lambda: False, process)
        self.lose(process)

    def lose(self, process: RunnerProcess) -> None:
        """The process is dead from here on, without a word: step it no more."""
        self.dead.add(process.host.pid)

    def execute(self, run_id: str, *processes: RunnerProcess) -> None:
        """Let every task of a run succeed, wherever it is started, until the run is published."""

        def is_done() -> bool:
            for process in processes:
                for step in process.tasks.running_steps(run_id):
                    process.tasks.succeed(run_id, step)
            return bool(self.completions(run_id))

        self.until(is_done, *processes)

    # -- writing ---------------------------------------------------------------------------------

    @cached_property
    def code(self) -> CodePackage:
        """A package of code that is in the store."""
        folder = self.folder / "flow"
        folder.mkdir()
        (folder / "flow.py").write_text("# what tasks would import\n")
        data, code = package(folder / "flow.py")
        store_package(self.store, "p", data, code)
        return code

    def deploy(
        self,
        flow: str = FLOW,
        *,
        version: int = 1,
        code: CodePackage | None = None,
        exit_hooks: ExitHooks | None = None,
    ) -> None:
        steps = (
            StepNode("start", StepKind.LINEAR, ("train",), is_join=False, line=1),
            StepNode("train", StepKind.LINEAR, ("end",), is_join=False, line=2),
            StepNode("end", StepKind.END, (), is_join=False, line=3),
        )
        self._publish(
            Deployment(
                namespace=NAMESPACE,
                flow=flow,
                version=version,
                graph=FlowGraph(flow, "flow.py", "", steps, exit_hooks=exit_hooks),
                parameters=(),
                trigger=None,
                code=code or self.code,
                deployed_at=self.clock.now(),
                deployed_by="test",
            )
        )

    def new_request(
        self, flow: str = FLOW, *, partition: int = 0, causes: tuple[Cause, ...] = ()
    ) -> RunRequest:
        """A request that belongs to a partition; not published."""
        return RunRequest(
            run_id=self._run_id(flow, partition),
            namespace=NAMESPACE,
            flow=flow,
            version=1,
            parameters={"day": '"2026-01-01"'},
            causes=causes,
            causes_digest=None,
            roots=tuple(cause.origin for cause in causes),
            hops=0,
            requested_at=self.clock.now(),
        )

    def request(self, *, partition: int = 0) -> str:
        """Request a run; its id."""
        request = self.new_request(partition=partition)
        self.publish(request)
        return request.run_id

    def cause(self, offset: int, *, run_id: str | None = None) -> Cause:
        """An event, from outside or from a task of a run of the flow Ingest."""
        return Cause(
            origin=Offset(self.topics.events, "topic-id", 0, offset),
            kind=Source.EVENT,
            event_id=f"e{offset}",
            name="landed",
            namespace="p/*",
            at=self.clock.now(),
            payload=b'{"day":"2026-01-01"}',
            content_type="application/json",
            run_namespace="p/prod" if run_id else "",
            flow="Ingest" if run_id else "",
            run_id=run_id,
        )

    def publish(self, *requests: RunRequest) -> None:
        self._publish(*requests)

    def publish_raw(self, topic: str, value: bytes, partition: int = 0) -> Offset:
        """Any bytes."""
        (place,) = self.bus.publish([NewRecord(topic, b"k", value, (("h", b"1"),), partition)])
        return place

    def delete_requests(self, before: int, partition: int = 0) -> None:
        """What retention does, on the embedded bus."""
        with closing(sqlite3.connect(self.folder / "bus.db")) as file, file:
            where = (self.topics.run_requests, partition)
            slot = "SELECT slot FROM partitions WHERE topic = ? AND partition = ?"
            (number,) = file.execute(slot, where).fetchone()
            file.execute("UPDATE partitions SET low = ? WHERE slot = ?", (before, number))
            first, last = number << 40, (number << 40) + before
            file.execute("DELETE FROM records WHERE position >= ? AND position < ?", (first, last))

    def _publish(self, *bodies: AnyRecord) -> None:
        self.bus.publish([self.codec.new_record(body) for body in bodies])

    def _run_id(self, flow: str, partition: int) -> str:
        while True:
            self.run_count += 1
            cause = Offset(self.topics.events, "topic-id", 0, self.run_count)
            run_id = run_id_of(NAMESPACE, flow, [cause])
            if partition_of(run_id.encode(), self.partitions) == partition:
                return run_id

    # -- reading ---------------------------------------------------------------------------------

    def place(self, run_id: str, flow: str = FLOW) -> RunPlace:
        return RunPlace(NAMESPACE, flow, run_id)

    def end(self, run_id: str) -> EndFile | None:
        return read_end(self.store, self.place(run_id))

    def epoch(self, run_id: str) -> int:
        """Which take-over of a run its record names; 0 when it was not accepted."""
        record = self.record(run_id)
        return record.epoch if record else 0

    def record(self, run_id: str) -> RunRecord | None:
        """The last one of a run, unless it is forgotten."""
        found = None
        where = TopicPartition(self.topics.runs, partition_of(run_id.encode(), self.partitions))
        for record in read_to_end(self.bus, where):
            if record.key == run_id.encode():
                found = self._decoded(record.value)
        assert found is None or isinstance(found, RunRecord)
        return found

    def completions(self, run_id: str | None = None) -> list[Completion]:
        found = self._of(self.topics.events, Completion)
        return [each for each in found if run_id in (None, each.run_id)]

    def reports(self) -> list[RunReport]:
        return list(self._of(self.topics.run_reports, RunReport))

    def heartbeats(self) -> list[Heartbeat]:
        return list(self._of(self.topics.runners, Heartbeat))

    def position(self, partition: int = 0) -> RunPosition:
        where = TopicPartition(self.topics.runs, partition)
        decoded = [self._decoded(each.value) for each in read_to_end(self.bus, where)]
        return [each for each in decoded if isinstance(each, RunPosition)][-1]

    def dead_letters(self) -> list[DeadLetter]:
        where = TopicPartition(self.topics.dead_letters, 0)
        return [read_dead_letter(each) for each in read_to_end(self.bus, where)]

    def _of(self, topic: str, kind: type[R]) -> Iterator[R]:
        for number in range(self.bus.topic(topic).partitions):
            for record in read_to_end(self.bus, TopicPartition(topic, number)):
                decoded = self._decoded(record.value)
                if isinstance(decoded, kind):
                    yield decoded

    def _decoded(self, value: bytes | None) -> AnyRecord | None:
        return None if value is None else self.codec.decode(value)


# -- fixtures --------------------------------------------------------------------------------------


def _embedded(folder: Path, prefix: str, partitions: int) -> RunnerRig:
    (folder / "store").mkdir()
    clock = HandClock()
    effects = Effects(clock=clock)

    def make_bus() -> Bus:
        return SqliteBus(folder, session=SESSION, effects=effects)

    store = LocalStore(folder / "store")
    return RunnerRig(make_bus, folder, prefix, store, clock, partitions)


def _served(request: pytest.FixtureRequest, folder: Path, prefix: str) -> RunnerRig:
    kafka, s3 = request.getfixturevalue("kafka_server"), request.getfixturevalue("s3_server")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    bucket, keys = request.getfixturevalue("s3_bucket"), request.getfixturevalue("s3_prefix")
    store = S3Place(s3.endpoint_url, s3.region, bucket, keys).open()
    backend, wait = Backend("kafka", kafka.bootstrap_servers), timedelta(milliseconds=20)
    return RunnerRig(backend.connect, folder, prefix, store, SystemClock(), patience=wait)


@pytest.fixture
def rig(request: pytest.FixtureRequest, tmp_path: Path, topic_prefix: str) -> Iterator[RunnerRig]:
    """An embedded installation under a hand clock; its parameter is the number of partitions."""
    with closing(_embedded(tmp_path, topic_prefix, getattr(request, "param", 1))) as rig:
        rig.deploy()
        yield rig


@pytest.fixture(
    params=["embedded", pytest.param("served", marks=[pytest.mark.kafka, pytest.mark.s3])]
)
def any_rig(
    request: pytest.FixtureRequest, tmp_path: Path, topic_prefix: str
) -> Iterator[RunnerRig]:
    """An installation on each pair of backends; on Kafka and S3 time passes by itself."""
    if request.param == "embedded":
        made = _embedded(tmp_path, topic_prefix, partitions=1)
    else:
        made = _served(request, tmp_path, topic_prefix)
    with closing(made) as rig:
        rig.deploy()
        yield rig
