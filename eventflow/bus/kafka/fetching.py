"""Polling one consumer of librdkafka: what a member of a group and a reader have in common.

Positions are kept here, because librdkafka's are not enough: a record is delivered only if its
partition is followed and not paused, and if it stands at or after the position. So nothing that
was fetched before a seek, a pause or a rebalance comes out after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from eventflow.bus.kafka.deadline import Deadline
from eventflow.errors import BusForbidden, BusUnreachable, EventflowError
from eventflow.model.log import Record, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka import Consumer, Message

    from eventflow.bus.kafka.diagnosis import Diagnosis
    from eventflow.bus.kafka.pulse import Pulse
    from eventflow.model.log import Header

__all__ = ["Fetched", "Fetcher", "Partition"]

Partition = tuple[str, int]

# This client cannot be woken: a wait is cut in slices, and between them others are listened to.
_SLICE_SECONDS = 0.05
_PATIENCE = timedelta(seconds=5)
_BETWEEN_TRIES = 0.0005
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one poll brought."""

    records: dict[TopicPartition, list[Record]] = field(default_factory=dict)
    ended: dict[TopicPartition, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.records or self.ended)


@dataclass(slots=True)
class _Followed:
    """A partition that is read: the next offset to deliver, and the end if it was met there."""

    at: TopicPartition
    position: int | None
    is_paused: bool
    end: int = -1


class Fetcher:
    """One consumer and the positions of what it reads. Used by one thread."""

    def __init__(
        self,
        consumer: Consumer,
        diagnosis: Diagnosis,
        pulse: Pulse,
        *,
        is_member: bool,
    ) -> None:
        self._consumer = consumer
        self._is_member = is_member
        self._diagnosis = diagnosis
        self._pulse = pulse
        self._followed: dict[Partition, _Followed] = {}
        self._failure: EventflowError | None = None

    def follow(self, partitions: Mapping[Partition, int | None], *, is_paused: bool) -> None:
        """Read these partitions from now on, and no others; None: nobody knows the position yet."""
        self._followed = {
            each: _Followed(TopicPartition(*each), position, is_paused)
            for each, position in partitions.items()
        }
        # An explicit offset, so that nothing has to be asked for, and nothing waited for, before
        # a partition can be sought: committed offsets are not told while a transaction holds some.
        self._consumer.assign(
            [Place(*each, offset=position or 0) for each, position in partitions.items()]
        )
        if is_paused:
            self._consumer.pause(_places(partitions))

    def forget(self) -> None:
        """Read nothing any more."""
        self._followed = {}

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on at `offset`. For a paused partition this takes place at its resume."""
        followed = self._followed[partition]
        followed.position, followed.end = offset, -1
        if not followed.is_paused:
            self._reposition(partition, offset)

    def pause(self, partition: Partition) -> None:
        """Deliver nothing of it."""
        followed = self._followed[partition]
        if not followed.is_paused:
            followed.is_paused = True
            self._consumer.pause(_places([partition]))

    def resume(self, partition: Partition) -> None:
        """Deliver again, from the position; from the committed offset if there is none."""
        followed = self._followed[partition]
        if followed.is_paused:
            if followed.position is None:
                followed.position = self._committed(partition)
            followed.is_paused = False
            self._consumer.resume(_places([partition]))
            # The seek also wakes the fetching thread; by a resume alone it is up to a second late.
            self._reposition(partition, followed.position)

    def poll(self, timeout: timedelta, limit: int, is_over: Callable[[], bool]) -> Fetched:
        """Wait for at least one record or end, or until `is_over`; asked every 50 ms."""
        deadline = Deadline(timeout)
        while True:
            fetched = self._fetch(min(_SLICE_SECONDS, deadline.remaining), limit)
            if fetched or is_over() or deadline.is_over:
                return fetched
            self._pulse.beat(paused=[each for each, f in self._followed.items() if f.is_paused])

    def lag(self) -> dict[TopicPartition, int]:
        """Records between the position and the end, where both are known."""
        lag = {}
        for partition, followed in self._followed.items():
            end = self._end(partition)
            if followed.position is not None and end >= 0:
                lag[followed.at] = max(0, end - max(followed.position, followed.end))
        return lag

    def _end(self, partition: Partition) -> int:
        _, cached = self._consumer.get_watermark_offsets(Place(*partition), cached=True)
        return max(cached, self._pulse.ends.get(partition, -1))

    def _reposition(self, partition: Partition, offset: int) -> None:
        deadline = Deadline(_PATIENCE)
        while True:
            try:
                self._consumer.seek(Place(*partition, offset=offset))
                return
            except KafkaException as error:
                # "Erroneous state": just assigned, and the fetching thread has not heard of it.
                if error.args[0].code() != KafkaError._STATE or deadline.is_over:
                    doing = f"seeking {partition[0]}/{partition[1]}"
                    raise self._diagnosis.explain(doing, error.args[0]) from error
                deadline.pause(_BETWEEN_TRIES)

    def _committed(self, partition: Partition) -> int:
        doing = f"asking for the committed offset of {partition[0]}/{partition[1]}"
        try:
            (place,) = self._consumer.committed(_places([partition]), _PATIENCE.total_seconds())
        except KafkaException as error:
            raise self._diagnosis.explain(doing, error.args[0]) from error
        if place.error is not None:
            raise self._diagnosis.explain(doing, place.error) from KafkaException(place.error)
        return max(0, place.offset)

    def _fetch(self, seconds: float, limit: int) -> Fetched:
        fetched, times = Fetched(), _AppendTimes()
        for message in self._receive(seconds, limit):
            self._sort(message, fetched, times)
        # What came with an error is delivered first: it will not come again.
        if self._failure is not None and not fetched:
            failure, self._failure = self._failure, None
            raise failure
        return fetched

    def _receive(self, seconds: float, limit: int) -> list[Message]:
        """The first message as soon as it comes, with what else is there; rebalances happen
        in here."""
        try:
            first = self._consumer.poll(seconds)
            if first is None:
                return []
            return [first, *(self._consumer.consume(limit - 1, 0) if limit > 1 else ())]
        except KafkaException as error:  # only one that is fatal comes this way
            raise self._diagnosis.explain("consuming", error.args[0]) from error

    def _sort(self, message: Message, fetched: Fetched, times: _AppendTimes) -> None:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._fail(error)
            return
        followed = self._followed.get((message.topic() or "", message.partition() or 0))
        if followed is None or followed.is_paused or followed.position is None:
            return
        offset = message.offset() or 0
        if offset < followed.position:
            return
        if error is not None:
            followed.end = fetched.ended[followed.at] = offset
            return
        followed.position = offset + 1
        records = fetched.records.get(followed.at)
        if records is None:
            records = fetched.records[followed.at] = []
        records.append(_record(message, followed.at, offset, times))

    def _fail(self, error: KafkaError) -> None:
        """Keep what does not pass. For the rest librdkafka goes on by itself, and the pulse
        notices when that leads nowhere."""
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and not self._is_member:
            return  # asked for on the client's own account: who only reads needs no group
        told = self._diagnosis.explain("consuming", error)
        if error.fatal():
            self._failure = BusUnreachable(str(told))
        elif isinstance(told, BusForbidden):
            self._failure = told


class _AppendTimes:
    """Milliseconds as datetimes; the records of a batch share theirs."""

    def __init__(self) -> None:
        self._last = _EPOCH
        self._of = 0

    def of(self, milliseconds: int) -> datetime:
        if milliseconds != self._of:
            self._last, self._of = _EPOCH + timedelta(milliseconds=milliseconds), milliseconds
        return self._last


def _record(message: Message, at: TopicPartition, offset: int, times: _AppendTimes) -> Record:
    _, milliseconds = message.timestamp()
    return Record(
        at.topic,
        at.partition,
        offset,
        message.key(),
        message.value(),
        _headers(message),
        times.of(milliseconds),
    )


def _headers(message: Message) -> tuple[Header, ...]:
    found = cast("list[tuple[str, bytes | None]] | None", message.headers())
    if not found:
        return ()
    for _, value in found:
        if value is None:
            return tuple([(name, value or b"") for name, value in found])
    return tuple(cast("list[Header]", found))


def _places(partitions: Iterable[Partition]) -> list[Place]:
    return [Place(*each) for each in partitions]
