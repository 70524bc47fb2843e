"""The bus on Apache Kafka, over confluent-kafka. What it promises: `eventflow.bus.port`."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from confluent_kafka import IsolationLevel
from confluent_kafka.admin import OffsetSpec

from eventflow.bus.kafka.admin import EARLIEST, LATEST, Admin
from eventflow.bus.kafka.clients import Clients
from eventflow.bus.kafka.consumer import KafkaConsumer
from eventflow.bus.kafka.ensuring import ensure_topics
from eventflow.bus.kafka.fetching import Fetcher
from eventflow.bus.kafka.publishing import Publisher
from eventflow.bus.kafka.pulse import Pulse
from eventflow.bus.kafka.reader import KafkaReader
from eventflow.bus.kafka.topics import Topics
from eventflow.bus.kafka.transactions import KafkaWriter, TransactionalProducer
from eventflow.model.offset import Offset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.model.log import NewRecord, TopicInfo, TopicPartition, TopicSpec
    from eventflow.settings import KafkaSettings

__all__ = ["KafkaBus"]

_COMMITTERS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NONE = -1


class _Closable(Protocol):
    @property
    def is_closed(self) -> bool: ...

    def close(self) -> None: ...


_C = TypeVar("_C", bound=_Closable)


@dataclass(slots=True)
class _Connection:
    """What one process has of a bus."""

    clients: Clients
    admin: Admin
    topics: Topics
    pool: ThreadPoolExecutor
    publisher: Publisher | None = None
    open: list[_Closable] = field(default_factory=list)

    def keep(self, made: _C) -> _C:
        """Have it closed with the bus."""
        self.open = [each for each in self.open if not each.is_closed]
        self.open.append(made)
        return made

    def close(self) -> None:
        for made in self.open:
            made.close()
        if self.publisher is not None:
            self.publisher.close()
        self.pool.shutdown()
        self.admin.close()


class KafkaBus:
    """See `Bus`. Connects on first use, and anew in a forked process.

    Of what a process made before it forked, the child may use the bus only.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._clients = Clients(settings)
        self._patience = settings.patience
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        os.register_at_fork(after_in_child=_weakly(weakref.WeakMethod(self._after_fork)))

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> Sequence[str]:
        """See `Bus`."""
        return ensure_topics(self._connect().admin, specs, self._patience, create=create)

    def topic(self, name: str) -> TopicInfo:
        """See `Bus`."""
        return self._connect().topics.info(name)

    def publish(self, records: Sequence[NewRecord]) -> Sequence[Offset]:
        """See `Bus`. The topic id of an offset is as of the last minute."""
        places = self._publisher().publish(records)
        known = self._connect().topics.known
        return [
            Offset(record.topic, known(record.topic).info.topic_id, partition, offset)
            for record, (partition, offset) in zip(records, places, strict=True)
        ]

    def writer(self, transactional_id: str, *, timeout: timedelta) -> KafkaWriter:
        """See `Bus`."""
        connection = self._connect()
        producer = TransactionalProducer(
            connection.clients, connection.topics, transactional_id, timeout
        )
        return connection.keep(KafkaWriter(producer, connection.pool))

    def reader(self, start: Mapping[TopicPartition, int]) -> KafkaReader:
        """See `Bus`."""
        connection = self._connect()
        for at in start:
            connection.topics.known(at.topic).check_partition(at.partition)
        consumer, diagnosis = connection.clients.reader()
        pulse = Pulse(connection.admin, sorted({at.topic for at in start}))
        fetcher = Fetcher(consumer, diagnosis, pulse, is_member=False)
        return connection.keep(KafkaReader(consumer, fetcher, start))

    def consumer(
        self, group: str, topics: Sequence[str], *, transactional_id: str
    ) -> KafkaConsumer:
        """See `Bus`."""
        connection = self._connect()
        connection.topics.check_co_partitioned(topics)

        def take_over(partition: int) -> TransactionalProducer:
            return TransactionalProducer(
                connection.clients,
                connection.topics,
                f"{transactional_id}.{partition}",
                self._patience,
            )

        consumer, diagnosis = connection.clients.member(group)
        pulse = Pulse(connection.admin, sorted(topics))
        fetcher = Fetcher(consumer, diagnosis, pulse, is_member=True)
        return connection.keep(KafkaConsumer(consumer, topics, fetcher, take_over, connection.pool))

    def high_watermark(self, partition: TopicPartition) -> int:
        """See `Bus`."""
        return self._offset(partition, LATEST)

    def low_watermark(self, partition: TopicPartition) -> int:
        """See `Bus`."""
        return self._offset(partition, EARLIEST)

    def offset_at(self, partition: TopicPartition, at: datetime) -> int:
        """See `Bus`."""
        # Brokers keep whole milliseconds: the first one that is not before `at`.
        milliseconds = -((_EPOCH - at) // _MILLISECOND)
        offset = self._offset(partition, OffsetSpec.for_timestamp(milliseconds))
        return self.high_watermark(partition) if offset == _NONE else offset

    def close(self) -> None:
        """See `Bus`."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _offset(self, partition: TopicPartition, wanted: OffsetSpec) -> int:
        connection = self._connect()
        connection.topics.known(partition.topic).check_partition(partition.partition)
        return connection.admin.offset(
            partition.topic, partition.partition, wanted, IsolationLevel.READ_UNCOMMITTED
        )

    def _connect(self) -> _Connection:
        with self._lock:
            if self._connection is None:
                admin = Admin(self._clients)
                pool = ThreadPoolExecutor(_COMMITTERS, "eventflow-commit")
                self._connection = _Connection(self._clients, admin, Topics(admin), pool)
            return self._connection

    def _publisher(self) -> Publisher:
        connection = self._connect()
        with self._lock:
            if connection.publisher is None:
                connection.publisher = Publisher(connection.clients, connection.topics)
            return connection.publisher

    def _after_fork(self) -> None:
        """In a forked child the threads of librdkafka are gone: its objects must neither be used
        nor destroyed (*seen*: a crash at exit). So they are never collected."""
        connection, self._connection = self._connection, None
        self._lock = threading.Lock()
        if connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _weakly(method: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    """A hook, which cannot be taken back, that keeps nothing alive."""

    def call() -> None:
        alive = method()
        if alive is not None:
            alive()

    return call
