"""Reading given partitions, outside of any group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.bus.port import Poll

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from confluent_kafka import Consumer

    from eventflow.bus.kafka.fetching import Fetcher
    from eventflow.model.log import TopicPartition

__all__ = ["KafkaReader"]


class KafkaReader:
    """See `Reader`."""

    def __init__(
        self, consumer: Consumer, fetcher: Fetcher, start: Mapping[TopicPartition, int]
    ) -> None:
        self._consumer = consumer
        self._fetcher = fetcher
        self.is_closed = False
        fetcher.follow(
            {(at.topic, at.partition): offset for at, offset in start.items()}, is_paused=False
        )

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """See `Reader`."""
        fetched = self._fetcher.poll(timeout, limit, lambda: False)
        return Poll(records=fetched.records, ended=fetched.ended)

    def close(self) -> None:
        """See `Reader`."""
        if not self.is_closed:
            self.is_closed = True
            self._consumer.close()
