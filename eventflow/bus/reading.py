"""What can be written once over the port: reading a partition to its end."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import BusUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.bus.port import Bus
    from eventflow.model.log import Record, TopicPartition

__all__ = ["read_to_end"]

_PATIENCE = timedelta(seconds=60)
_POLL = timedelta(milliseconds=500)


def read_to_end(bus: Bus, partition: TopicPartition, start: int = 0) -> Iterator[Record]:
    """Every committed record from `start` to the high watermark of this moment, in order.

    The watermark includes records of open transactions; those are waited for, so that a commit
    that its writer has seen succeed is never missed (docs/protocols.md §3).

    Raises:
        BusUnreachable: the end was not reached: nothing arrived for 60 seconds.
    """
    target = bus.high_watermark(partition)
    if target <= start:
        return
    silent = timedelta()
    with closing(bus.reader({partition: start})) as reader:
        while True:
            poll = reader.poll(_POLL)
            records = poll.records.get(partition, ())
            yield from records
            if poll.ended.get(partition, -1) >= target:
                return
            silent = timedelta() if records else silent + _POLL
            if silent >= _PATIENCE:
                raise BusUnreachable(
                    f"{partition.topic}/{partition.partition} could not be read to offset {target}:"
                    " nothing arrived for a minute. Look for a transaction that hangs"
                    " (kafka-transactions.sh find-hanging) or a partition without a leader."
                )
