"""Taking over a partition of the event log: the fence first, then the state, then the position.

    acquire → read `trigger-state[p]` to its true high watermark → seek `events[p]` → resume

In slices, so that a service that takes over many partitions, or large ones, polls in between and
does not lose them again (docs/protocols.md §3).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from eventflow.bus.reading import read_to_end
from eventflow.codec.keys import POSITION
from eventflow.model.log import TopicPartition
from eventflow.model.partition_state import Limits, PartitionState, Place
from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer, TriggerPosition
from eventflow.services.trigger_partition import Decided, TriggerPartition

if TYPE_CHECKING:
    from collections.abc import Generator

    from eventflow.bus.port import Assignment
    from eventflow.services.trigger_partition import TriggerParts
    from eventflow.settings import TriggerSettings

__all__ = ["TakeOver"]

_log = structlog.get_logger(__name__)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class TakeOver:
    """The way of one assignment to a partition that decides. It begins at `not_before` of the
    clock that never jumps."""

    def __init__(
        self,
        parts: TriggerParts,
        assignment: Assignment,
        *,
        not_before: timedelta = timedelta(),
        too_large: frozenset[int] = frozenset(),
    ) -> None:
        self.assignment, self.not_before, self.too_large = assignment, not_before, too_large
        self._parts, self._log = parts, parts.log
        self._steps = self._take()

    def advance(self, until: timedelta) -> TriggerPartition | None:
        """Go on until that time of the clock; the partition, once it is ready to decide.

        Raises:
            Fenced, BusBusy, BusUnreachable: it has failed; begin another one.
        """
        clock = self._log.effects.clock
        while True:
            try:
                next(self._steps)
            except StopIteration as end:
                partition: TriggerPartition = end.value
                return partition
            if clock.elapsed() >= until:
                return None

    def close(self) -> None:
        """Let go of what is open."""
        self._steps.close()

    def _take(self) -> Generator[None, None, TriggerPartition]:
        faults = self._log.effects.faults
        self.assignment.acquire()
        faults.reach("trigger.acquired")
        yield
        values = yield from self._last_values()
        position = self._position(values.pop(POSITION, None))
        clock = position.clock if position else _BEGINNING
        state = PartitionState(self._place(), _limits(self._parts.settings), clock)
        for value in values.values():
            self._take_in(state, value)
            yield
        faults.reach("trigger.restored")
        return self._begin(state, position)

    def _last_values(self) -> Generator[None, None, dict[bytes, bytes]]:
        """The last value of each key, in the order in which these were written."""
        values: dict[bytes, bytes] = {}
        where = TopicPartition(self._log.topics.trigger_state, self.assignment.partition)
        for record in read_to_end(self._log.bus, where):
            key = record.key or b""
            values.pop(key, None)
            if record.value is not None:
                values[key] = record.value
            yield
        return values

    def _position(self, value: bytes | None) -> TriggerPosition | None:
        if value is None:
            return None
        position = self._log.decoder.decode(value)
        assert isinstance(position, TriggerPosition)
        return position

    def _take_in(self, state: PartitionState, value: bytes) -> None:
        record = self._log.decoder.decode(value)
        assert isinstance(record, ActiveVersion | HeldEvent | SeenId | Timer)
        state.take_in(record, self._parts.deployments.find)
        if isinstance(record, ActiveVersion):
            key = record.source, record.namespace, record.flow
            if state.subscriptions.deployment(*key) is None:
                _log.error("trigger.version-unreadable", source=key[0], flow=key[2])

    def _begin(self, state: PartitionState, position: TriggerPosition | None) -> TriggerPartition:
        """Go to the position; to the start of a topic that was made anew."""
        topics, bus = self._log.topics, self._log.bus
        topic_id = bus.topic(topics.events).topic_id
        is_same = position is not None and position.topic_id == topic_id
        start = position.next_offset if position is not None and is_same else 0
        partition = TriggerPartition(
            self._parts, self.assignment, Decided(state, topic_id, start), self.too_large
        )
        first = bus.low_watermark(TopicPartition(topics.events, self.assignment.partition))
        if first > start:
            partition.skip_to(first)
        self.assignment.seek(topics.events, max(start, first))
        self._log.effects.faults.reach("trigger.sought")
        partition.read_on(is_welcome=True)
        self._parts.metrics.restores.inc()
        return partition

    def _place(self) -> Place:
        return Place(self.assignment.partition, self._log.topics.event_partitions)


def _limits(settings: TriggerSettings) -> Limits:
    return Limits(
        join_events=settings.join_events,
        join_bytes=settings.join_bytes,
        id_window=settings.id_window,
        id_window_ids=settings.id_window_ids,
    )
