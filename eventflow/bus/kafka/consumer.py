"""A member of a consumer group (classic protocol, range assignor, eager rebalances)."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import wait
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from confluent_kafka import KafkaException

from eventflow.bus.kafka.assignment import KafkaAssignment
from eventflow.bus.kafka.deadline import Deadline
from eventflow.bus.port import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from confluent_kafka import Consumer
    from confluent_kafka import TopicPartition as Place

    from eventflow.bus.kafka.fetching import Fetcher
    from eventflow.bus.kafka.transactions import TransactionalProducer
    from eventflow.model.log import TopicPartition

__all__ = ["KafkaConsumer", "is_fence"]

# What the client gives as group metadata (rd_kafka_consumer_group_metadata_write): this, the
# generation as a native int32, then group and member, each with a zero byte behind it.
_METADATA_MAGIC = b"CGMDv2:"
_BETWEEN_TELLINGS = timedelta(seconds=1)
# Without its coordinator the client may ask no more; then there is nothing to wait for.
_LEAVING = timedelta(seconds=1)
_LEAVING_STEP_SECONDS = 0.002


class KafkaConsumer:
    """See `Consumer`."""

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        fetcher: Fetcher,
        take_over: Callable[[int], TransactionalProducer],
        pool: Executor,
    ) -> None:
        self._consumer = consumer
        self._topics = frozenset(topics)
        self._fetcher = fetcher
        self._take_over = take_over
        self._pool = pool
        self._is_woken = threading.Event()
        self.is_closed = False
        self._owned: dict[int, KafkaAssignment] = {}
        self._lost: list[KafkaAssignment] = []
        self._assigned: list[KafkaAssignment] = []
        self._has_taken = False
        self._next_telling = Deadline(_BETWEEN_TELLINGS)
        consumer.subscribe(
            sorted(topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """See `Consumer`."""
        fetched = self._fetcher.poll(timeout, limit, self._has_news)
        self._is_woken.clear()
        if self._next_telling.is_over:
            self._tell_group()
        lost, self._lost = tuple(self._lost), []
        assigned, self._assigned = tuple(self._assigned), []
        return Poll(lost, assigned, fetched.records, fetched.ended)

    @property
    def lag(self) -> Mapping[TopicPartition, int]:
        """See `Consumer`."""
        return self._fetcher.lag()

    def wake(self) -> None:
        """See `Consumer`."""
        self._is_woken.set()

    def close(self) -> None:
        """See `Consumer`. Commits under way end first, so that they count."""
        if self.is_closed:
            return
        self.is_closed = True
        leaving = [assignment.release() for assignment in self._owned.values()]
        wait([each for each in leaving if each is not None])
        self._tell_group()
        self._disown()
        self._leave()
        self._consumer.close()

    def _leave(self) -> None:
        """Unsubscribe, and serve the callbacks of every rebalance until none can follow.

        *Seen*: in its close, librdkafka forgets that it waits for a callback. What the callback
        then asks of it is dropped when the group has ended meanwhile, and `assign` waits for ever.
        """
        deadline = Deadline(_LEAVING)
        with suppress(KafkaException):  # a fatal one: there are no more rebalances
            self._consumer.unsubscribe()
            # An assignment that was on its way is first taken, then revoked.
            while self._consumer.poll(_LEAVING_STEP_SECONDS) is not None or self._has_taken:
                if deadline.is_over:
                    break

    def _has_news(self) -> bool:
        return bool(self._lost or self._assigned or self._is_woken.is_set())

    def _on_assign(self, consumer: Consumer, places: list[Place]) -> None:
        """The fence is captured here: the rebalance cannot go on, and the generation cannot
        grow, until this callback has returned."""
        self._has_taken = True
        if self.is_closed:
            consumer.assign([])
            return
        metadata = cast("bytes", consumer.consumer_group_metadata())
        self._fetcher.follow(
            {(place.topic, place.partition): None for place in places}, is_paused=True
        )
        if not is_fence(metadata):
            # It fell out of the group meanwhile, and will be told so. A commit without a
            # generation is not fenced: a group without members takes it from anybody (*seen*).
            return
        for number in self._whole(places):
            assignment = KafkaAssignment(
                number, metadata, self._fetcher, self._take_over, self._pool
            )
            self._owned[number] = assignment
            self._assigned.append(assignment)

    def _whole(self, places: list[Place]) -> list[int]:
        """The partition numbers that are assigned over all topics. One that is not was given
        by a leader who has not heard of a new topic yet, and who will rebalance when it has."""
        topics: dict[int, set[str]] = {}
        for place in places:
            topics.setdefault(place.partition, set()).add(place.topic)
        return sorted(number for number, found in topics.items() if found == self._topics)

    def _on_revoke(self, _consumer: Consumer, _places: list[Place]) -> None:
        """Eager: everything goes, whether in good order or lost."""
        self._has_taken = False
        self._tell_group()
        for assignment in self._owned.values():
            assignment.release()
        self._disown()

    def _tell_group(self) -> None:
        """Say how far was consumed, beside the transactions and without waiting for an answer:
        other people's tools read it, and a service that keeps no position of its own."""
        self._next_telling = Deadline(_BETWEEN_TELLINGS)
        untold = [place for each in self._owned.values() for place in each.take_untold()]
        if untold:
            self._consumer.commit(offsets=untold, asynchronous=True)

    def _disown(self) -> None:
        self._fetcher.forget()
        for assignment in self._owned.values():
            assignment.die()
            if assignment in self._assigned:  # nobody has heard of it
                self._assigned.remove(assignment)
            else:
                self._lost.append(assignment)
        self._owned = {}


def is_fence(metadata: bytes) -> bool:
    """Whether group metadata has a generation and a member id, so that it fences anybody."""
    assert metadata.startswith(_METADATA_MAGIC), metadata
    start = len(_METADATA_MAGIC)
    generation = int.from_bytes(metadata[start : start + 4], sys.byteorder, signed=True)
    _group, member, _rest = metadata[start + 4 :].split(b"\0", 2)
    return generation >= 0 and member != b""
