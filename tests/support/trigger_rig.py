"""An installation for tests of the trigger service: a bus, a store in a folder, services in hand.

The services are stepped by the test, so that it can stop one anywhere: at a fault point it
raises `Crashed`, after which nothing of it is called any more, as if the process had died.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from eventflow.bus.deployment_log import DeploymentLog
from eventflow.bus.port import Bus
from eventflow.bus.reading import read_to_end
from eventflow.bus.schema_topic import SchemaLookup, publish_schemas
from eventflow.codec.codec import Codec
from eventflow.codec.dead_letters import read_dead_letter
from eventflow.codec.records import AnyRecord
from eventflow.effects import Clock, Effects, Faults, NoFaults, SystemClock
from eventflow.metrics import TriggerMetrics
from eventflow.model.dead_letter import DeadLetter
from eventflow.model.decision import Decision
from eventflow.model.deployment import (
    Activation,
    CodePackage,
    Deployment,
    ParameterSpec,
)
from eventflow.model.graph import FlowGraph
from eventflow.model.log import NewRecord, TopicPartition, partition_of
from eventflow.model.offset import Offset
from eventflow.model.run import RunRequest
from eventflow.model.state import TriggerPosition
from eventflow.model.timetable import Timetable
from eventflow.model.topics import Topics
from eventflow.model.trigger import Trigger
from eventflow.services.log_parts import LogParts
from eventflow.services.trigger import TriggerParts, TriggerService
from eventflow.settings import TriggerSettings
from eventflow.store.local import LocalStore
from tests.contract.buses import Backend
from tests.support.machines import START, wide

R = TypeVar("R")

SESSION = timedelta(seconds=1)
_STEP = timedelta(milliseconds=20)
_PATIENCE_SECONDS = 30.0


class Crashed(BaseException):
    """The process of a service is gone; no handler of errors sees it."""


@dataclass
class CrashAt:
    """Raises `Crashed` when `name` is reached for the `nth` time from now on."""

    name: str = ""
    nth: int = 1

    def reach(self, name: str) -> None:
        if name == self.name:
            self.nth -= 1
            if self.nth == 0:
                raise Crashed(name)


@dataclass
class TriggerRig:
    """One installation; `partitions` of the event log."""

    backend: Backend
    prefix: str
    folder: Path
    partitions: int = 3
    opened: list[Bus] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    topics: Topics = field(init=False)
    codec: Codec = field(init=False)
    bus: Bus = field(init=False)
    store: LocalStore = field(init=False)

    def __post_init__(self) -> None:
        self.topics = Topics(self.prefix, self.partitions, self.partitions)
        self.codec = Codec(self.topics)
        self.bus = self.connect()
        self.bus.ensure(self.topics.specs(), create=True)
        publish_schemas(self.bus, self.codec, self.topics)
        (self.folder / "store").mkdir()
        self.store = LocalStore(self.folder / "store")

    def connect(self) -> Bus:
        """A bus as from another process."""
        bus = self.backend.connect(SESSION)
        self.opened.append(bus)
        return bus

    def close(self) -> None:
        for bus in reversed(self.opened):
            bus.close()

    # -- services --------------------------------------------------------------------------------

    def service(
        self,
        faults: Faults | None = None,
        *,
        clock: Clock | None = None,
        store: LocalStore | None = None,
        settings: TriggerSettings | None = None,
        is_measured: bool = False,
    ) -> TriggerService:
        """A further member of the trigger services, as from another process. The one that
        `is_measured` counts in `registry`."""
        bus, codec = self.connect(), Codec(self.topics)
        decoder = SchemaLookup(bus, codec, self.topics)
        effects = Effects(clock=clock or SystemClock(), faults=faults or NoFaults())
        return TriggerService(
            TriggerParts(
                log=LogParts(bus, codec, decoder, self.topics, effects),
                store=store or self.store,
                deployments=DeploymentLog(bus, decoder, self.topics),
                settings=settings or TriggerSettings(idle_commit=timedelta(milliseconds=50)),
                metrics=TriggerMetrics(self.registry if is_measured else CollectorRegistry()),
            )
        )

    def run(self, *services: TriggerService) -> None:
        """Step the services until every record, and what follows from it, is decided."""

        def is_done() -> bool:
            # Before the take-over, a transaction of a dead service may be open: do not wait for it.
            owned = sum(service.progress.deciding for service in services)
            return owned >= self.partitions and self.is_decided()

        self.run_until(is_done, *services)

    def run_until(self, condition: Callable[[], bool], *services: TriggerService) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            for _ in range(5):
                for service in services:
                    service.step(_STEP)
            if condition():
                return
            assert time.monotonic() < deadline, "the services did not get there"

    def is_decided(self) -> bool:
        """Whether the position of every partition has reached its end."""
        return all(self._is_at_end(number) for number in range(self.partitions))

    def _is_at_end(self, partition: int) -> bool:
        end = self.bus.high_watermark(TopicPartition(self.topics.events, partition))
        position = self.position(partition)
        if position is None or position.topic_id != self.bus.topic(self.topics.events).topic_id:
            return end == 0
        return position.next_offset >= end

    # -- writing ---------------------------------------------------------------------------------

    def publish(self, *bodies: AnyRecord) -> Sequence[Offset]:
        return self.bus.publish([self.codec.new_record(body) for body in bodies])

    def publish_raw(self, value: bytes | None, key: bytes | None, namespace: str) -> Offset:
        """Any bytes in the partition of a namespace."""
        partition = self.partition_of(namespace)
        (place,) = self.bus.publish(
            [NewRecord(self.topics.events, key or b"", value, (("h", b"1"),), partition)]
        )
        return place

    def deploy(
        self,
        flow: str,
        trigger: Trigger | None,
        namespace: str = "p/prod",
        version: int = 1,
        parameters: tuple[ParameterSpec, ...] = (),
        schedule: Timetable | None = None,
    ) -> None:
        """One transaction: the version, its mark at home, its mark in `project/*`."""
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
        marks = [
            Activation(source, namespace, flow, version, is_deleted=False, marked_at=START)
            for source in (namespace, wide(namespace))
        ]
        fence = f"{self.prefix}deploy.{namespace}.{flow}"
        with closing(self.bus.writer(fence, timeout=timedelta(seconds=10))) as writer:
            transaction = writer.begin()
            transaction.append(self.codec.new_record(deployment))
            for mark in marks:
                transaction.append(self.codec.new_record(mark))
            transaction.commit().result()

    def delete_events(self, partition: int, before: int) -> None:
        """What retention does."""
        if self.backend.kind == "kafka":
            where = KafkaPartition(self.topics.events, partition, before)
            admin = AdminClient({"bootstrap.servers": self.backend.address})
            admin.delete_records([where])[where].result(20)
            return
        with closing(sqlite3.connect(Path(self.backend.address) / "bus.db")) as file, file:
            slot = "SELECT slot FROM partitions WHERE topic = ? AND partition = ?"
            at = (self.topics.events, partition)
            (number,) = file.execute(slot, at).fetchone()
            file.execute("UPDATE partitions SET low = ? WHERE slot = ?", (before, number))
            file.execute(
                "DELETE FROM records WHERE position >= ? AND position < ?",
                (number << 40, (number << 40) + before),
            )

    # -- reading ---------------------------------------------------------------------------------

    def partition_of(self, namespace: str) -> int:
        return partition_of(namespace.encode(), self.partitions)

    def requests(self) -> list[RunRequest]:
        return self._read(self.topics.run_requests, RunRequest)

    def decisions(self) -> list[Decision]:
        return self._read(self.topics.decisions, Decision)

    def verdicts(self) -> list[tuple[str, str]]:
        """(event name, verdict) of all decisions but the echoes of marks."""
        echoes = ("activated", "deleted")
        return [
            (each.event_name, each.verdict.value)
            for each in self.decisions()
            if each.verdict not in echoes
        ]

    def dead_letters(self) -> list[DeadLetter]:
        return [
            read_dead_letter(record)
            for number in range(self.partitions)
            for record in read_to_end(self.bus, TopicPartition(self.topics.dead_letters, number))
        ]

    def position(self, partition: int) -> TriggerPosition | None:
        position = None
        for record in self._state(partition):
            if isinstance(record, TriggerPosition):
                position = record
        return position

    def _state(self, partition: int) -> Iterator[AnyRecord]:
        where = TopicPartition(self.topics.trigger_state, partition)
        for record in read_to_end(self.bus, where):
            if record.value is not None:
                yield self.codec.decode(record.value)

    def _read(self, topic: str, kind: type[R]) -> list[R]:
        found: list[R] = []
        for number in range(self.partitions):
            for record in read_to_end(self.bus, TopicPartition(topic, number)):
                decoded = self.codec.decode(record.value)
                assert isinstance(decoded, kind)
                found.append(decoded)
        return found
