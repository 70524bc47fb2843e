"""Transactions (KIP-98, KIP-447): one producer for each transactional id that is held.

    TransactionalProducer   holds an id until a call of it fails
    KafkaTransaction        one transaction of it; committed in the bus's thread pool
    KafkaWriter             an id held outside of any group

A producer that failed never sends again: fenced, or without an answer to its commit, it must not,
and after an abort librdkafka may go on with a wrong sequence number (*seen*: the transaction after
one that was refused as too large fails, too). Its successor is a new one, made by whoever still
owns the id.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from eventflow.bus.kafka.deadline import Deadline
from eventflow.bus.kafka.diagnosis import GROUP_FENCED
from eventflow.bus.kafka.publishing import BatchRoom, send
from eventflow.bus.kafka.taking_over import insist, take_over
from eventflow.errors import (
    BusBusy,
    BusForbidden,
    EventflowError,
    Fenced,
    RecordTooLarge,
    TopicMismatch,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor, Future

    from confluent_kafka import Producer

    from eventflow.bus.kafka.clients import Clients
    from eventflow.bus.kafka.topics import Topics
    from eventflow.model.log import NewRecord

__all__ = ["Fence", "KafkaTransaction", "KafkaWriter", "TransactionalProducer"]

# How long a producer that goes away tries to abort what it left open; the next owner would.
_PARTING = timedelta(seconds=2)
_POLL_SECONDS = 0.002


class TransactionalProducer:
    """The holder of a transactional id. One transaction at a time; calls exclude each other."""

    def __init__(
        self, clients: Clients, topics: Topics, transactional_id: str, timeout: timedelta
    ) -> None:
        """Take over the id.

        Raises:
            Fenced: a newer holder was faster.
            BusUnreachable, BusForbidden: not within `timeout`, or never.
        """
        self._id = transactional_id
        self._topics = topics
        self._patience = clients.settings.patience
        self._lock = threading.Lock()
        self._room = BatchRoom()
        self._is_open = False
        self._has_appended = False
        self._is_proven = False
        self._end: EventflowError = Fenced(f"the transactional id {transactional_id} was let go")
        producer, self._diagnosis = take_over(clients, transactional_id, timeout)
        self._producer: Producer | None = producer

    @property
    def is_idle(self) -> bool:
        """Whether a transaction can be begun."""
        return self._producer is not None and not self._is_open

    @property
    def was_aborted(self) -> bool:
        """Whether it ended in an aborted transaction: nothing visible, nobody else involved."""
        return self._producer is None and isinstance(self._end, BusBusy)

    def begin(self) -> None:
        """Open a transaction.

        Raises:
            Fenced, BusBusy, BusUnreachable: as which the id was lost.
            BusBusy: the transaction before has not ended.
        """
        with self._lock:
            producer = self._held()
            if self._is_open:
                raise BusBusy(f"{self._id}: the transaction before has not ended")
            try:
                producer.begin_transaction()
            except KafkaException as error:
                raise self._ended(error.args[0]) from error
            self._is_open, self._has_appended = True, False

    def append(self, record: NewRecord) -> None:
        """Send a record. A refusal of the broker shows at the commit."""
        topic, size = self._topics.fitting(record)
        deadline = Deadline(self._patience)
        with self._lock:
            producer = self._held()
            self._has_appended = True
            try:
                if self._room.take(topic, size):
                    _drain(producer, deadline)
                send(producer, record, deadline)
            except KafkaException as error:
                raise self._ended(error.args[0]) from error

    def commit(self, offsets: Sequence[TopicPartition], group: object) -> bool:
        """Commit the records; whether the offsets of the group were committed with them.

        They are, under its captured metadata, until that has proved once that this producer was
        made by the rightful owner. From then on its epoch is the fence: whoever owns the
        partition later takes the id over before reading anything (docs/decisions.md 31).

        Raises:
            As the result of `Transaction.commit`. Also RecordTooLarge, TopicMismatch and
            BusForbidden when that is why the broker refused a record; nothing is visible then.
        """
        deadline = Deadline(self._patience)
        with self._lock:
            producer = self._held()
            # Of an empty transaction the broker hears by its offsets only.
            has_to_prove = bool(offsets) and not (self._is_proven and self._has_appended)
            try:
                if has_to_prove:
                    insist(
                        lambda seconds: producer.send_offsets_to_transaction(
                            list(offsets), group, seconds
                        ),
                        deadline,
                    )
                insist(producer.commit_transaction, deadline)
            except KafkaException as error:
                raise self._ended(error.args[0]) from error
            self._is_open, self._is_proven = False, self._is_proven or has_to_prove
            return has_to_prove

    def abort(self) -> None:
        """Drop the open transaction; and the producer, when it does not abort."""
        with self._lock:
            if self._producer is not None and self._is_open:
                error = self._abort(self._patience)
                if error is not None:
                    self._let_go(self._diagnosis.explain(f"an abort of {self._id}", error))

    def drop(self) -> None:
        """Abort what is open, and never send again."""
        with self._lock:
            if self._producer is not None:
                if self._is_open:
                    self._abort(_PARTING)
                self._let_go(self._end)

    def _held(self) -> Producer:
        if self._producer is None:
            raise type(self._end)(f"{self._id} has to be taken over anew: {self._end}")
        return self._producer

    def _abort(self, patience: timedelta) -> KafkaError | None:
        """The error why it did not abort. Then the next owner of the id aborts it, or the
        coordinator after the transaction timeout: without its producer it never commits."""
        self._is_open = False
        try:
            insist(self._held().abort_transaction, Deadline(patience))
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            return reason
        return None

    def _ended(self, error: KafkaError) -> EventflowError:
        """The end of the producer after an error: what became of the transaction, and why."""
        is_known = error.txn_requires_abort()
        if is_known or error.code() == KafkaError._FATAL:
            # Records that nobody took in all the patience: an abort will find nobody either.
            is_silent = error.code() == KafkaError._INCONSISTENT
            reason = self._abort(_PARTING if is_silent else self._patience)
            if reason is not None and (is_silent or reason.fatal()):
                error = reason  # the first one only said that there is one
                is_known = is_known and not is_silent
        told = self._diagnosis.explain(f"a transaction of {self._id}", error)
        if isinstance(told, (RecordTooLarge, TopicMismatch)):
            self._topics.doubt()
        if error.code() in GROUP_FENCED:
            told = GroupFenced(str(told))
        if not is_known or isinstance(told, Fenced):
            self._let_go(told)
            return told
        aborted = BusBusy(f"a transaction of {self._id} was aborted: {error.str()}")
        self._let_go(aborted)
        return told if isinstance(told, _TELLING) else aborted

    def _let_go(self, end: EventflowError) -> None:
        self._end, self._producer, self._is_open = end, None, False


# Why a transaction was aborted, where somebody has to act.
_TELLING = (RecordTooLarge, BusForbidden, TopicMismatch)


class GroupFenced(Fenced):
    """Fenced by the group: the assignment is dead, not only its producer."""


class Fence(Protocol):
    """What the offsets of a group are committed under: an assignment."""

    @property
    def partition(self) -> int:
        """The partition number."""

    @property
    def is_live(self) -> bool:
        """Whether it may still commit."""

    @property
    def group(self) -> object:
        """The group metadata captured when the partition was assigned."""

    def die(self) -> None:
        """The group has refused it."""

    def count_as_consumed(self, offsets: Sequence[TopicPartition]) -> None:
        """The group has still to be told of these next offsets; their transaction is committed."""


@dataclass(slots=True)
class KafkaTransaction:
    """See `Transaction`. An open one; without a fence there are no offsets to commit."""

    _producer: TransactionalProducer
    _pool: Executor
    _fence: Fence | None = None
    _has_ended: bool = False

    def append(self, record: NewRecord) -> None:
        """See `Transaction`."""
        if self._has_ended:
            raise BusBusy("this transaction has ended")
        self._check_fence()
        self._producer.append(record)

    def commit(self, consumed: Mapping[str, int] | None = None) -> Future[None]:
        """See `Transaction`."""
        has_ended, self._has_ended = self._has_ended, True
        return self._pool.submit(self._commit, dict(consumed or {}), has_ended)

    def abort(self) -> None:
        """See `Transaction`."""
        if not self._has_ended:
            self._has_ended = True
            self._producer.abort()

    def _commit(self, consumed: Mapping[str, int], has_ended: bool) -> None:
        if has_ended:
            raise BusBusy("this transaction has ended")
        self._check_fence()
        offsets = self._offsets(consumed)
        try:
            is_told = self._producer.commit(offsets, self._fence and self._fence.group)
        except GroupFenced:
            if self._fence is not None:
                self._fence.die()
            raise
        if self._fence is not None and not is_told:
            self._fence.count_as_consumed(offsets)

    def _check_fence(self) -> None:
        if self._fence is not None and not self._fence.is_live:
            self._producer.drop()
            raise Fenced("the partition of this transaction was lost since it began")

    def _offsets(self, consumed: Mapping[str, int]) -> list[TopicPartition]:
        if self._fence is None:
            return []
        number = self._fence.partition
        return [TopicPartition(topic, number, offset) for topic, offset in consumed.items()]


class KafkaWriter:
    """See `Writer`."""

    def __init__(self, producer: TransactionalProducer, pool: Executor) -> None:
        self._producer = producer
        self._pool = pool
        self.is_closed = False

    def begin(self) -> KafkaTransaction:
        """See `Writer`."""
        self._producer.begin()
        return KafkaTransaction(self._producer, self._pool)

    def close(self) -> None:
        """See `Writer`."""
        self.is_closed = True
        self._producer.drop()


def _drain(producer: Producer, deadline: Deadline) -> None:
    """Wait until everything is sent. Not `flush`: it goes on after a fatal error, with the
    exception pending."""
    while len(producer) and not deadline.is_over:
        producer.poll(_POLL_SECONDS)
