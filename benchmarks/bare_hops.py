"""What a record's way costs on Kafka without eventflow: one hop; two, a transaction between.

    once                  produce → consume
    through_transaction   produce → consume → transaction of one record → consume

Clients of confluent-kafka in one thread, each waiting for the one before, on topics of their own
of the same broker; `read_committed`, no waits for further records.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

__all__ = ["BareHops", "bare_hops"]

_PATIENCE_S = 20.0
_PRODUCER = {"acks": "all", "linger.ms": 0}
_CONSUMER = {
    "group.id": "bare",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
}


@dataclass(frozen=True, slots=True)
class BareHops:
    """Connected clients, and the topics between them."""

    first: str
    second: str
    producer: Producer
    transactions: Producer
    of_first: Consumer
    of_second: Consumer

    def once(self, value: bytes) -> float:
        """Seconds from before the produce until the record is in the consumer's hands."""
        at = time.perf_counter()
        self._produce_and_consume(value)
        return time.perf_counter() - at

    def through_transaction(self, value: bytes) -> float:
        """The same until a record that was committed in answer is in the next consumer's hands."""
        at = time.perf_counter()
        self._produce_and_consume(value)
        self.transactions.begin_transaction()
        self.transactions.produce(self.second, value, partition=0)
        self.transactions.commit_transaction(_PATIENCE_S)
        _wait_for(self.of_second, value)
        return time.perf_counter() - at

    def _produce_and_consume(self, value: bytes) -> None:
        self.producer.produce(self.first, value, partition=0)
        self.producer.poll(0)
        _wait_for(self.of_first, value)


@contextmanager
def bare_hops(servers: str) -> Iterator[BareHops]:
    """Ready to measure: every client has done its work once."""
    first, second = (f"bare-{secrets.token_hex(4)}" for _ in range(2))
    where: dict[str, Any] = {"bootstrap.servers": servers}
    admin = AdminClient(where)
    made = admin.create_topics([NewTopic(each, 1, 1) for each in (first, second)])
    for each in made.values():
        each.result(_PATIENCE_S)
    transactions = Producer({**where, **_PRODUCER, "transactional.id": first})
    transactions.init_transactions(_PATIENCE_S)
    consumers = [Consumer({**where, **_CONSUMER}) for _ in range(2)]
    for consumer, topic in zip(consumers, (first, second), strict=True):
        consumer.assign([TopicPartition(topic, 0, 0)])
    hops = BareHops(first, second, Producer({**where, **_PRODUCER}), transactions, *consumers)
    try:
        hops.through_transaction(b"warm-up")
        yield hops
    finally:
        hops.producer.flush(_PATIENCE_S)
        for consumer in consumers:
            consumer.close()


def _wait_for(consumer: Consumer, value: bytes) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        message = consumer.poll(_PATIENCE_S)
        if message is not None and message.error() is None and message.value() == value:
            return
    raise TimeoutError("the bare record was not read")
