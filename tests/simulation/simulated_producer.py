"""Transactions of one process: as `eventflow.bus.kafka.transactions`, on a simulated cluster.

    SimulatedProducer      holds a transactional id until a call of it fails
    SimulatedTransaction   one transaction of it, committed in the background
    SimulatedWriter        an id held outside of any group

Where faults are planted: `take_over` (who fences whom), `SimulatedTransaction.fence_of_commit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from eventflow.errors import BusBusy, BusUnreachable, EventflowError, Fenced, RecordTooLarge
from eventflow.model.log import TopicPartition
from tests.simulation.simulated_group import GroupFenced

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from eventflow.model.log import NewRecord
    from tests.simulation.simulated_cluster import Cluster
    from tests.simulation.simulated_group import Fence, Group
    from tests.simulation.simulated_link import Link, SimulatedFuture, Steps
    from tests.simulation.simulated_log import PartitionLog
    from tests.simulation.simulated_transactions import Held

__all__ = [
    "Owner",
    "SimulatedProducer",
    "SimulatedTransaction",
    "SimulatedWriter",
    "check_size",
    "take_over",
]

_OVERHEAD_BYTES = 82
_HEADER_OVERHEAD_BYTES = 8
_RETRY = timedelta(milliseconds=10)


def take_over(link: Link, name: str, patience: timedelta) -> Held:
    """Hold a transactional id (InitProducerId); what an older holder left open is aborted.

    Raises:
        BusUnreachable: not within `patience`.
    """
    coordinator, until = link.cluster.transactions, link.universe.time + patience
    while True:
        link.ask("bus.init")
        is_lost = link.loses_answer()
        held = coordinator.init(name, link.transaction, link.writer)
        link.answer("bus.init", is_lost=is_lost)
        if held is not None:
            return held
        left = until - link.universe.time
        if left <= timedelta():
            raise BusUnreachable(f"{name} could not be taken over")
        link.universe.wait(left, lambda: coordinator.is_settled(name))


class SimulatedProducer:
    """The holder of a transactional id. One transaction at a time."""

    def __init__(self, link: Link, name: str, patience: timedelta) -> None:
        self._link, self._coordinator = link, link.cluster.transactions
        self._held = take_over(link, name, patience)
        self._end: EventflowError | None = None
        self._queue: list[NewRecord] = []
        self._is_open = self._is_sending = self._is_committing = self._has_sent = False
        self._failure: EventflowError | None = None

    @property
    def is_idle(self) -> bool:
        """Whether a transaction can be begun."""
        return self._end is None and not self._is_open

    @property
    def was_aborted(self) -> bool:
        """Whether it ended in an aborted transaction."""
        return isinstance(self._end, BusBusy)

    def begin(self) -> None:
        """Open a transaction. Local, as in librdkafka: nobody is asked."""
        self._check()
        if self._is_open:
            raise BusBusy(f"{self._held.name}: the transaction before has not ended")
        self._is_open, self._has_sent = True, False

    def append(self, record: NewRecord) -> None:
        """Queue a record, to be sent soon."""
        check_size(self._link.cluster, record)
        self._check()
        self._queue.append(record)
        if not self._is_sending:
            self._is_sending = True
            self._link.in_background(self._sending())

    def committing(
        self, group: Group | None, fence: Fence | None, offsets: Mapping[TopicPartition, int]
    ) -> Steps:
        """Commit the records, and the offsets of a group under that fence. It ends as the result
        of `Transaction.commit`."""
        self._is_committing = True
        try:
            yield self._link.turn()
            while self._is_sending:
                yield self._link.turn(_RETRY)
            if self._failure is not None:
                raise self._failure
            if group is not None and fence is not None and offsets:
                yield from self._send_offsets(group, fence, offsets)
            if self._has_sent:
                yield from self._end_transaction()
        except EventflowError as error:
            self._end = error
            raise
        finally:
            self._is_open = self._is_committing = False

    def abort(self) -> None:
        """Drop the open transaction."""
        self._link.in_background(self._aborting()).result()

    def drop(self) -> SimulatedFuture:
        """Abort what is open once what is being committed has ended; then never send again."""
        return self._link.in_background(self._dropping())

    def _check(self) -> None:
        if self._end is not None:
            raise type(self._end)(f"{self._held.name} has to be taken over anew: {self._end}")

    def _sending(self) -> Steps:
        yield self._link.turn()
        try:
            yield from self._send()
        except BusUnreachable as error:
            self._failure = error
        self._is_sending = False

    def _send(self) -> Steps:
        """Everything queued, partition by partition."""
        while self._queue and self._failure is None:
            while not self._coordinator.is_settled(self._held.name):
                yield self._link.turn(_RETRY)  # CONCURRENT_TRANSACTIONS
            records, self._queue = self._queue, []
            yield self._link.wire()
            self._produce(records)

    def _produce(self, records: list[NewRecord]) -> None:
        self._has_sent = True
        by_log: dict[PartitionLog, list[NewRecord]] = {}
        for record in records:
            by_log.setdefault(self._link.cluster.place(record), []).append(record)
        try:
            for log, its in by_log.items():
                self._coordinator.produce(self._held, log, its)
        except Fenced as error:
            self._failure = error

    def _send_offsets(
        self, group: Group, fence: Fence, offsets: Mapping[TopicPartition, int]
    ) -> Steps:
        while not self._coordinator.is_settled(self._held.name):
            yield self._link.turn(_RETRY)
        self._has_sent = True
        yield self._link.wire()
        try:
            self._coordinator.send_offsets(self._held, group, fence, offsets)
        except GroupFenced:
            yield self._link.turn()
            self._coordinator.end(self._held, commit=False)
            raise
        yield self._link.turn()

    def _end_transaction(self) -> Steps:
        link = self._link
        if link.happens("bus.refused"):
            yield from self._refused()
        yield link.wire()
        is_lost = link.loses_answer()
        self._coordinator.end(self._held, commit=True)
        yield link.wire()  # the answer, which an outage can swallow, too
        yield link.turn(link.silence() if is_lost else None)
        if is_lost:
            raise BusUnreachable(f"committing {self._held.name}: no answer")

    def _refused(self) -> Steps:
        """The broker aborts it, and says so; or it stays open, and nothing is said."""
        link = self._link
        if link.universe.random.random() < 0.5:
            yield link.wire()
            self._coordinator.end(self._held, commit=False)
            yield link.wire()
            yield link.turn()
            raise BusBusy(f"{self._held.name}: the transaction was aborted")
        yield link.turn(link.silence())
        raise BusUnreachable(f"committing {self._held.name}: no answer")

    def _aborting(self) -> Steps:
        yield self._link.turn()
        while self._is_sending or self._is_committing:
            yield self._link.turn()
        if self._is_open:
            self._is_open = False
            self._queue.clear()
            try:
                yield self._link.wire()
                self._coordinator.end(self._held, commit=False)
            except (Fenced, BusUnreachable) as error:
                self._end = error
        yield self._link.turn()

    def _dropping(self) -> Steps:
        yield from self._aborting()
        self._end = self._end or Fenced(f"{self._held.name} was let go")


class Owner(Protocol):
    """Under what the offsets of a group are committed: an assignment."""

    @property
    def partition(self) -> int:
        """The partition number."""

    @property
    def is_live(self) -> bool:
        """Whether it may still commit."""

    @property
    def fence(self) -> Fence:
        """The generation captured when the partition was assigned."""

    @property
    def group(self) -> Group:
        """The group."""

    def die(self) -> None:
        """The group has refused it."""


@dataclass(slots=True)
class SimulatedTransaction:
    """See `Transaction`. Without an owner there are no offsets to commit."""

    link: Link
    producer: SimulatedProducer
    owner: Owner | None = None
    _has_ended: bool = False

    def append(self, record: NewRecord) -> None:
        """See `Transaction`."""
        if self._has_ended:
            raise BusBusy("this transaction has ended")
        self._check_owner()
        self.producer.append(record)

    def commit(self, consumed: Mapping[str, int] | None = None) -> Future[None]:
        """See `Transaction`."""
        self.link.universe.effect("bus.commit")
        has_ended, self._has_ended = self._has_ended, True
        future = self.link.in_background(self._committing(dict(consumed or {}), has_ended))
        self.link.universe.effect("bus.commit.sent")
        return future

    def abort(self) -> None:
        """See `Transaction`."""
        self.link.universe.effect("bus.abort")
        if not self._has_ended:
            self._has_ended = True
            self.producer.abort()

    def fence_of_commit(self, owner: Owner) -> Fence:
        """Under which generation the offsets are committed: the one place where it is chosen."""
        return owner.fence

    def _committing(self, consumed: Mapping[str, int], has_ended: bool) -> Steps:
        if has_ended:
            raise BusBusy("this transaction has ended")
        self._check_owner()
        owner = self.owner
        try:
            if owner is None:
                yield from self.producer.committing(None, None, {})
            else:
                offsets = {TopicPartition(t, owner.partition): o for t, o in consumed.items()}
                fence = self.fence_of_commit(owner)
                yield from self.producer.committing(owner.group, fence, offsets)
        except GroupFenced:
            if owner is not None:
                owner.die()
            raise

    def _check_owner(self) -> None:
        if self.owner is not None and not self.owner.is_live:
            self.producer.drop()
            raise Fenced("the partition of this transaction was lost since it began")


class SimulatedWriter:
    """See `Writer`."""

    def __init__(self, link: Link, producer: SimulatedProducer) -> None:
        self._link, self._producer = link, producer

    def begin(self) -> SimulatedTransaction:
        """See `Writer`."""
        self._producer.begin()
        return SimulatedTransaction(self._link, self._producer)

    def close(self) -> None:
        """See `Writer`."""
        self._link.go("bus.writer-closes")
        self._producer.drop().result()


def check_size(cluster: Cluster, record: NewRecord) -> None:
    """Nothing, when the topic takes the record.

    Raises:
        RecordTooLarge, TopicMismatch: it does not.
    """
    cluster.place(record)
    headers = sum(len(k.encode()) + len(v) + _HEADER_OVERHEAD_BYTES for k, v in record.headers)
    size = len(record.key) + len(record.value or b"") + headers + _OVERHEAD_BYTES
    limit = cluster.topic(record.topic).spec.max_record_bytes
    if size > limit:
        raise RecordTooLarge(f"A record of {size} bytes is over the limit of {record.topic}")
