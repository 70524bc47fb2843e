"""A reader of given partitions, outside of any group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from eventflow.bus.port import Poll
from eventflow.bus.sqlite.feed import Feed
from eventflow.bus.sqlite.polling import poll_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from eventflow.bus.sqlite.engine import Engine
    from eventflow.bus.sqlite.wakers import Waker
    from eventflow.model.log import TopicPartition

__all__ = ["SqliteReader"]


class SqliteReader:
    """Of the port."""

    def __init__(self, engine: Engine, start: Mapping[TopicPartition, int]) -> None:
        self._engine = engine
        self._feed = Feed(engine.database)
        self._waker: Waker | None = None
        for at, offset in start.items():
            self._feed.add(at, engine.catalogue.slot(at), offset, paused=False)

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        return poll_until(partial(self._look, limit), self._wait, self._engine.clock, timeout)

    def close(self) -> None:
        if self._waker is not None:
            self._waker.close()
            self._waker = None

    def _look(self, limit: int) -> Poll:
        records, ended = self._feed.fetch(limit)
        return Poll(records=records, ended=ended)

    def _wait(self, left: timedelta) -> bool:
        # Made on the first wait only: most readers find everything at once.
        self._waker = self._waker or self._engine.wakers.make()
        self._waker.wait(left)
        return True
