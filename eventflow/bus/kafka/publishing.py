"""Appending outside of transactions: one idempotent producer, shared by all threads.

A call waits for the delivery reports of its own records and of no others. They are served by a
thread of the publisher, so that a caller never waits for another's round trip.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from eventflow.bus.kafka.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message, Producer
    from confluent_kafka._types import DeliveryCallback

    from eventflow.bus.kafka.clients import Clients
    from eventflow.bus.kafka.topics import KnownTopic, Topics
    from eventflow.model.log import NewRecord

__all__ = ["BatchRoom", "Publisher", "send"]

_ANY_PARTITION = -1
_SERVE_SECONDS = 0.1
_LATE = timedelta(seconds=2)
_RETRY_SECONDS = 0.005


class BatchRoom:
    """Keeps records of a narrow topic out of a batch that the broker would refuse as a whole.

    librdkafka does not split a batch that is too large (as KIP-126 has the Java client do).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}

    def take(self, topic: KnownTopic, size: int) -> bool:
        """Count a record of that size; whether what was sent before has to be flushed first."""
        if not topic.is_narrow or topic.limit_bytes is None:
            return False
        with self._lock:
            taken = self._taken.get(topic.info.name, 0) + size
            is_full = taken > topic.limit_bytes
            self._taken[topic.info.name] = size if is_full else taken
            return is_full


def send(
    producer: Producer,
    record: NewRecord,
    deadline: Deadline,
    on_delivery: DeliveryCallback | None = None,
) -> None:
    """Hand a record to librdkafka; waits while its queue is full.

    Raises:
        KafkaException: refused at once, or the queue stayed full.
    """
    while True:
        try:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                _ANY_PARTITION if record.partition is None else record.partition,
                on_delivery=on_delivery,
                headers=list(record.headers),
            )
            return
        except BufferError as error:
            if deadline.is_over:
                raise KafkaException(KafkaError(KafkaError._QUEUE_FULL, str(error))) from error
            producer.poll(_RETRY_SECONDS)


class _Call:
    """The delivery reports that one `publish` waits for. Only the serving thread reports."""

    def __init__(self, count: int) -> None:
        self.places: list[tuple[int, int]] = [(_ANY_PARTITION, 0)] * count
        self.error: KafkaError | None = None
        self.is_done = threading.Event()
        self._missing = count

    def report(self, index: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.error = self.error or error
        else:
            self.places[index] = (message.partition() or 0, message.offset() or 0)
        self._missing -= 1
        if self._missing == 0:
            self.is_done.set()


class Publisher:
    """Safe to use from several threads, in one process."""

    def __init__(self, clients: Clients, topics: Topics) -> None:
        self._clients = clients
        self._topics = topics
        self._patience = clients.settings.patience
        self._producer, self._diagnosis = clients.publisher()
        self._room = BatchRoom()
        self._lock = threading.Lock()
        self._fatal: KafkaError | None = None
        self._is_closed = threading.Event()
        self._server = threading.Thread(target=self._serve, name="eventflow-publisher", daemon=True)
        self._server.start()

    def publish(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        """Partition and offset of each record, in the order given; all are durable.

        Raises:
            RecordTooLarge, TopicMismatch, BusForbidden, BusUnreachable: as `Bus.publish`.
        """
        call, deadline = _Call(len(records)), Deadline(self._patience)
        for index, record in enumerate(records):
            self._send(record, partial(call.report, index), deadline)
        # The report of a record that timed out comes up to a second late.
        if records and not call.is_done.wait((self._patience + _LATE).total_seconds()):
            raise self._diagnosis.silence("publishing")
        if call.error is not None:
            raise self._failed(call.error) from KafkaException(call.error)
        return call.places

    def close(self) -> None:
        """Let go. What is still on its way was given up by its caller."""
        self._is_closed.set()
        self._server.join()

    def _send(self, record: NewRecord, on_delivery: DeliveryCallback, deadline: Deadline) -> None:
        topic = self._topics.known(record.topic)
        if self._room.take(topic, topic.size_of(record)):
            while len(self._producer) and not deadline.is_over:
                deadline.pause(_RETRY_SECONDS)
        try:
            send(self._producer, record, deadline, on_delivery)
        except KafkaException as error:
            raise self._failed(error.args[0]) from error

    def _failed(self, error: KafkaError) -> Exception:
        with self._lock:
            fatal, self._fatal = self._fatal, None
            told = self._diagnosis.explain("publishing", fatal or error)
            if fatal is not None or error.code() == KafkaError._FATAL:
                # It will never send again: the next call has a new one.
                self._producer, self._diagnosis = self._clients.publisher()
            return told

    def _serve(self) -> None:
        while not self._is_closed.is_set():
            try:
                self._producer.poll(_SERVE_SECONDS)
            except KafkaException as error:
                # The reports of what it could not send come next; they only say "fatal".
                self._fatal = error.args[0]
