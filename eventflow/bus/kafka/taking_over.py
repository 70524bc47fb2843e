"""Taking over a transactional id (KIP-98, `InitProducerId`)."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from eventflow.bus.kafka.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Producer

    from eventflow.bus.kafka.clients import Clients
    from eventflow.bus.kafka.diagnosis import Diagnosis
    from eventflow.errors import EventflowError

__all__ = ["insist", "take_over"]

_NOT_YET = frozenset(
    {KafkaError.CONCURRENT_TRANSACTIONS, KafkaError._TIMED_OUT, KafkaError._TRANSPORT}
)
_FIRST_PATIENCE = timedelta(milliseconds=50)
_BETWEEN_TRIES = 0.002
_NO_TIME = timedelta()
_LISTENING = timedelta(milliseconds=500)
_LISTENING_STEP = timedelta(milliseconds=50)
_LEAST_SECONDS = 0.01
_ANY_TOPIC = "__consumer_offsets"  # there in every cluster


def take_over(
    clients: Clients, transactional_id: str, timeout: timedelta
) -> tuple[Producer, Diagnosis]:
    """A producer that holds the id: what an older one left open is aborted, it is fenced.

    Raises:
        Fenced: a newer holder was faster.
        BusUnreachable, BusForbidden: not within `timeout`, or never.
    """
    deadline, patience = Deadline(timeout), _FIRST_PATIENCE
    while True:
        producer, diagnosis = clients.transactional(transactional_id)
        try:
            _connect(producer, deadline)
            insist(producer.init_transactions, deadline.sooner(patience))
            return producer, diagnosis
        except KafkaException as error:
            # While the broker aborts what a dead holder left open, the client asks again after
            # half a second, which for twelve partitions is a whole session; a new one at once.
            # A coordinator that moves, or has not read its log yet, is no refusal either.
            if deadline.is_over or not _passes(error.args[0]):
                raise _told(transactional_id, producer, diagnosis, error) from error
        deadline.pause(_BETWEEN_TRIES)
        patience *= 2


def _passes(error: KafkaError) -> bool:
    return error.retriable() or error.code() in _NOT_YET


def _connect(producer: Producer, deadline: Deadline) -> None:
    """Learn the brokers, then wait for a connection to one of them.

    *Seen*: `init_transactions` alone starts its state machine before there is a connection, in
    one of three cases, and then it sleeps for half a second.
    """
    for _ in range(2):
        producer.list_topics(_ANY_TOPIC, timeout=max(_LEAST_SECONDS, deadline.remaining))


def _told(
    transactional_id: str, producer: Producer, diagnosis: Diagnosis, error: KafkaException
) -> EventflowError:
    # Of a silence, the complaint that says why (a refused login) may come a moment later.
    deadline = Deadline(_LISTENING if error.args[0].code() in _NOT_YET else _NO_TIME)
    while True:
        with suppress(KafkaException):  # a fatal one: `error` tells it already
            producer.poll(deadline.sooner(_LISTENING_STEP).remaining)
        if diagnosis.has_heard or deadline.is_over:
            break
    doing = f"taking over the transactional id {transactional_id}"
    return diagnosis.explain(doing, error.args[0])


def insist(call: Callable[[float], object], deadline: Deadline) -> None:
    """Repeat a call of the transactional API while librdkafka says that it may be."""
    while True:
        try:
            call(deadline.remaining)
            return
        except KafkaException as error:
            if deadline.is_over or not error.args[0].retriable():
                raise
            deadline.pause(_BETWEEN_TRIES)
