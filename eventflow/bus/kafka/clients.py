"""How each client of librdkafka is set up (docs/protocols.md §1 and §2).

Three layers: what works well, what the operator says (`EVENTFLOW_KAFKA__CONFIG`), and what the
guarantees hang on, which nobody overrides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from eventflow.bus.kafka.diagnosis import Diagnosis
from eventflow.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from eventflow.settings import KafkaSettings

__all__ = ["BATCH_BYTES", "Clients"]

BATCH_BYTES = 1_000_000
# No reader joins a group; the client wants a name all the same.
_READERS = "eventflow-readers"
_ANY = {
    "allow.auto.create.topics": False,
    "client.id": "eventflow",
    # The coordinator's connection is closed and opened once while a client starts: with the
    # default of 100 ms every take-over of a partition would wait for it.
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 1000,
}
_PRODUCER = {
    "batch.size": BATCH_BYTES,
    "linger.ms": 0,
    # The limit is the topic's; this one must only not be in its way.
    "message.max.bytes": 64 * 2**20,
    # AddPartitionsToTxn right after a commit is often answered CONCURRENT_TRANSACTIONS: with
    # the default of 100 ms that is the p99 of every transaction.
    "retry.backoff.ms": 2,
    "retry.backoff.max.ms": 10,
}
_CONSUMER = {
    # What is fetched ahead stays small: a message costs about 0.5 KB besides its bytes. A full
    # queue is looked at again after 5 ms, not after a second.
    "queued.min.messages": 1000,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.queue.backoff.ms": 5,
}
_COMMITTED_ONLY = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
}
_DURABLE = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}

_C = TypeVar("_C")


class Clients:
    """Makes clients, each with its own `Diagnosis`.

    Raises:
        InvalidSettings: librdkafka does not take a setting; the message names it.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        if settings.bootstrap_servers is None:
            raise InvalidSettings("EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS is not set")
        self.settings = settings

    def admin(self) -> tuple[AdminClient, Diagnosis]:
        """Asks the cluster."""
        return self._make(AdminClient, {}, {})

    def publisher(self) -> tuple[Producer, Diagnosis]:
        """Appends outside of transactions: idempotent."""
        timeout = {"message.timeout.ms": _ms(self.settings.patience)}
        return self._make(Producer, _PRODUCER, {**_DURABLE, **timeout})

    def transactional(self, transactional_id: str) -> tuple[Producer, Diagnosis]:
        """Appends in transactions. It reports a record only when it failed."""
        # librdkafka takes no timeout that is longer than that of the transaction.
        shorter = _ms(min(self.settings.patience, self.settings.transaction))
        return self._make(
            Producer,
            {**_PRODUCER, "delivery.report.only.error": True},
            {
                **_DURABLE,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": _ms(self.settings.transaction),
                "message.timeout.ms": shorter,
                "socket.timeout.ms": shorter,
            },
        )

    def member(self, group: str) -> tuple[Consumer, Diagnosis]:
        """Consumes in a group: classic protocol, range assignor.

        librdkafka sends its heartbeats from a thread of its own, so only `max.poll.interval.ms`
        notices that the service does not poll: it is the session, too.
        """
        session = _ms(self.settings.session)
        return self._make(
            Consumer,
            {**_CONSUMER, "fetch.wait.max.ms": 50},
            {
                **_COMMITTED_ONLY,
                "group.id": group,
                "group.protocol": "classic",
                "partition.assignment.strategy": "range",
                "session.timeout.ms": session,
                "max.poll.interval.ms": session,
                "heartbeat.interval.ms": _ms(self.settings.heartbeat),
            },
        )

    def reader(self) -> tuple[Consumer, Diagnosis]:
        """Consumes outside of any group. The end of a partition is reported by the fetch after
        the last record, so a fetch waits only shortly for more."""
        defaults = {**_CONSUMER, "fetch.wait.max.ms": 10}
        return self._make(Consumer, defaults, {**_COMMITTED_ONLY, "group.id": _READERS})

    def _make(
        self,
        client: Callable[[dict[str, Any]], _C],
        defaults: dict[str, Any],
        fixed: dict[str, Any],
    ) -> tuple[_C, Diagnosis]:
        diagnosis = Diagnosis(self.settings)
        config = {
            **_ANY,
            "socket.timeout.ms": _ms(self.settings.patience),
            **defaults,
            **self.settings.config,
            **fixed,
            "bootstrap.servers": self.settings.bootstrap_servers,
            "error_cb": diagnosis.hear,
            "logger": diagnosis,
        }
        try:
            return client(config), diagnosis
        except (KafkaException, TypeError, ValueError) as error:
            raise InvalidSettings(
                f"Kafka's client does not take its settings: {error}. Check EVENTFLOW_KAFKA__CONFIG"
            ) from error


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
