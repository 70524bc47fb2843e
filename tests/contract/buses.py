"""The backends of the bus that the contract suite runs on, and how a test drives them."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka.admin import AdminClient

from eventflow.bus.reading import read_to_end
from eventflow.effects import SystemIds
from eventflow.model.log import Cleanup, NewRecord, Record, TopicPartition, TopicSpec
from eventflow.settings import KafkaSettings
from tests.simulation.simulated_bus import SimulatedBus
from tests.simulation.simulated_cluster import Cluster
from tests.simulation.universe import Universe
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventflow.bus.port import Assignment, Bus, Poll, Transaction

LIMIT_BYTES = 100_000
SHORT = timedelta(milliseconds=50)
SESSION = timedelta(seconds=2)
LONG_SESSION = timedelta(minutes=5)  # longer than any test may take
_TURN_SECONDS = 0.05  # polls of a simulated bus take no time: many, before anybody sleeps


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{SystemIds().token(8)}"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the log is; every `connect` is as from another process."""

    kind: str
    address: str

    def connect(self, session: timedelta = SESSION) -> Bus:
        """A bus of its own. Transactions time out only after a minute: no test waits for that."""
        if self.kind == "sqlite":
            from eventflow.bus.sqlite import SqliteBus  # noqa: PLC0415

            return SqliteBus(Path(self.address), session=session)
        from eventflow.bus.kafka import KafkaBus  # noqa: PLC0415

        return KafkaBus(
            KafkaSettings(
                bootstrap_servers=self.address,
                session=session,
                heartbeat=timedelta(milliseconds=500),
                transaction=timedelta(seconds=60),
            )
        )

    def now(self) -> datetime:
        """The wall clock of the brokers."""
        return datetime.now(UTC)

    def let_pass(self, duration: timedelta) -> None:
        """Wait until its clock has moved on by that much."""
        until = self.now() + duration
        eventually(lambda: self.now() > until)

    @contextmanager
    def later(self, after: timedelta, action: Callable[[], object]) -> Iterator[None]:
        """Do something meanwhile, from another thread; it is done at the end."""
        timer = threading.Timer(after.total_seconds(), action)
        timer.start()
        yield
        timer.join()

    def delete_topic(self, name: str) -> None:
        """What no port offers: an operator does it."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(Path(self.address) / "bus.db")) as file, file:
                file.execute("DELETE FROM topics WHERE name = ?", (name,))
                file.execute("DELETE FROM partitions WHERE topic = ?", (name,))
            return
        admin = AdminClient({"bootstrap.servers": self.address})
        admin.delete_topics([name])[name].result(20)

    def to_json(self) -> str:
        """For a child process."""
        return json.dumps({"kind": self.kind, "address": self.address})


@dataclass(frozen=True, slots=True)
class SimulatedBackend(Backend):
    """Brokers in this process, whose time passes when somebody waits for them."""

    universe: Universe
    cluster: Cluster

    @classmethod
    def make(cls) -> SimulatedBackend:
        """A cluster of its own, where nothing goes wrong."""
        universe = Universe.by(1, {}, None)
        return cls("simulated", "", universe, Cluster(universe))

    def connect(self, session: timedelta = SESSION) -> Bus:
        return SimulatedBus(
            self.universe,
            self.cluster,
            session=session,
            heartbeat=timedelta(milliseconds=500),
            transaction=timedelta(seconds=60),
        )

    def now(self) -> datetime:
        return self.universe.now

    def let_pass(self, duration: timedelta) -> None:
        self.universe.wait(duration, lambda: False)

    @contextmanager
    def later(self, after: timedelta, action: Callable[[], object]) -> Iterator[None]:
        self.universe.later(after, lambda: _ignore(action()))
        yield

    def delete_topic(self, name: str) -> None:
        del self.cluster.topics[name]


def _ignore(_value: object) -> None:
    """Nobody asks for it."""


def spec(
    partitions: int = 1,
    cleanup: Cleanup = Cleanup.DELETE,
    *,
    name: str | None = None,
    limit: int = LIMIT_BYTES,
) -> TopicSpec:
    """A topic of its own."""
    retention = timedelta(days=1) if cleanup is Cleanup.DELETE else None
    return TopicSpec(name or unique("topic"), partitions, cleanup, retention, limit)


def make_topic(bus: Bus, partitions: int = 1, cleanup: Cleanup = Cleanup.DELETE) -> str:
    """The name of a new topic."""
    made = spec(partitions, cleanup)
    bus.ensure([made], create=True)
    return made.name


def record(topic: str, value: str | bytes | None, key: str = "k", partition: int = 0) -> NewRecord:
    """A record for an explicit partition."""
    data = value.encode() if isinstance(value, str) else value
    return NewRecord(topic, key.encode(), data, partition=partition)


def values(records: Sequence[Record]) -> list[str]:
    """The values, as text."""
    return [(entry.value or b"").decode() for entry in records]


def committed(bus: Bus, topic: str, partition: int = 0) -> list[str]:
    """The values that a reader finds in a partition, from the first to the last."""
    return values(list(read_to_end(bus, TopicPartition(topic, partition))))


class Member:
    """A member of a group that treats a poll as a service does: lost, assigned, records."""

    def __init__(self, bus: Bus, group: str, topics: Sequence[str], *, paused: bool = False):
        self.consumer = bus.consumer(group, topics, transactional_id=f"tx-{group}")
        self.topics = topics
        self.paused = paused
        self.owned: dict[int, Assignment] = {}
        self.lost: list[Assignment] = []
        self.records: list[Record] = []
        self.ended: dict[TopicPartition, int] = {}

    def poll(self, timeout: timedelta = SHORT) -> Poll:
        """One poll; what is assigned is resumed unless the member is `paused`."""
        poll = self.consumer.poll(timeout)
        for assignment in poll.lost:
            self.lost.append(assignment)
            self.owned.pop(assignment.partition, None)
        for assignment in poll.assigned:
            self.owned[assignment.partition] = assignment
            for topic in () if self.paused else self.topics:
                assignment.resume(topic)
        for records in poll.records.values():
            self.records.extend(records)
        self.ended.update(poll.ended)
        return poll

    def values(self) -> list[str]:
        """The values of everything read so far."""
        return values(self.records)


def until(condition: Callable[[], object], *members: Member, timeout: float = 20.0) -> None:
    """Poll the members in turn until the condition holds."""

    def turn() -> object:
        pause_at = time.monotonic() + _TURN_SECONDS
        while not (met := _polled(members, condition)) and time.monotonic() < pause_at:
            pass
        return met

    eventually(turn, timeout)


def _polled(members: Sequence[Member], condition: Callable[[], object]) -> object:
    for member in members:
        member.poll()
    return condition()


def owns(member: Member, *partitions: int) -> Callable[[], bool]:
    """Whether the member owns exactly these."""
    return lambda: sorted(member.owned) == sorted(partitions)


def open_transaction(assignment: Assignment, topic: str, value: str) -> Transaction:
    """Take the partition's transactional id over and append one record, without committing."""
    assignment.acquire()
    transaction = assignment.begin()
    transaction.append(record(topic, value, partition=assignment.partition))
    return transaction


def write(assignment: Assignment, topic: str, value: str, consumed: dict[str, int]) -> None:
    """A whole transaction under an assignment; returns when it is visible."""
    open_transaction(assignment, topic, value).commit(consumed).result(20)
