"""Ownership of one partition number, with the fence that was captured when it was assigned."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.bus.kafka.deadline import Deadline
from eventflow.bus.kafka.transactions import KafkaTransaction
from eventflow.errors import Fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from confluent_kafka import TopicPartition as Place

    from eventflow.bus.kafka.fetching import Fetcher
    from eventflow.bus.kafka.transactions import TransactionalProducer

__all__ = ["KafkaAssignment"]

# Two members that both believe to own a partition take the id over from each other in turns, until
# the group tells one of them: not more often than this.
_BETWEEN_TAKE_OVERS = timedelta(seconds=1)
_NOW = timedelta()


class KafkaAssignment:
    """See `Assignment`."""

    def __init__(
        self,
        partition: int,
        group: object,
        fetcher: Fetcher,
        take_over: Callable[[int], TransactionalProducer],
        pool: Executor,
    ) -> None:
        self._partition = partition
        self._group = group
        self._fetcher = fetcher
        self._take_over = take_over
        self._pool = pool
        self._is_live = True
        self._producer: TransactionalProducer | None = None
        self._untold: Sequence[Place] = ()
        self._next_take_over = Deadline(_NOW)

    @property
    def partition(self) -> int:
        """See `Assignment`."""
        return self._partition

    @property
    def is_live(self) -> bool:
        """See `Assignment`."""
        return self._is_live

    @property
    def group(self) -> object:
        """The group metadata (member id and generation) of this assignment. Never asked anew."""
        return self._group

    def acquire(self) -> None:
        """See `Assignment`. Also after an error of a commit: the producer that failed is gone."""
        self._check_live()
        if self._producer is not None:
            if self._producer.is_idle:
                return
            self._producer.drop()
        self._next_take_over.pause(_BETWEEN_TAKE_OVERS.total_seconds())
        self._next_take_over = Deadline(_BETWEEN_TAKE_OVERS)
        self._producer = self._take_over(self._partition)

    def seek(self, topic: str, offset: int) -> None:
        """See `Assignment`."""
        self._check_live()
        self._fetcher.seek((topic, self._partition), offset)

    def pause(self, topic: str) -> None:
        """See `Assignment`."""
        self._check_live()
        self._fetcher.pause((topic, self._partition))

    def resume(self, topic: str) -> None:
        """See `Assignment`."""
        self._check_live()
        self._fetcher.resume((topic, self._partition))

    def begin(self) -> KafkaTransaction:
        """See `Assignment`."""
        self._check_live()
        if self._producer is None:
            raise Fenced(f"partition {self._partition} was not acquired")
        if self._producer.was_aborted:
            self.acquire()
        self._producer.begin()
        return KafkaTransaction(self._producer, self._pool, self)

    def die(self) -> None:
        """The partition was lost: everything on this object raises Fenced from now on."""
        self._is_live = False

    def count_as_consumed(self, offsets: Sequence[Place]) -> None:
        """Committed next offsets, which the group has not heard of."""
        self._untold = offsets

    def take_untold(self) -> Sequence[Place]:
        """The latest of them, since the last time that they were taken."""
        untold, self._untold = self._untold, ()
        return untold

    def release(self) -> Future[None] | None:
        """Let the producer go, after a commit that is under way; in the background."""
        producer, self._producer = self._producer, None
        return None if producer is None else self._pool.submit(producer.drop)

    def _check_live(self) -> None:
        if not self._is_live:
            raise Fenced(f"partition {self._partition} is not this member's any more")
