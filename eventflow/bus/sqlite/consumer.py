"""A member of a consumer group."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from eventflow.bus.port import Poll
from eventflow.bus.sqlite.assignment import SqliteAssignment
from eventflow.bus.sqlite.feed import Feed
from eventflow.bus.sqlite.groups import Membership
from eventflow.bus.sqlite.log import watermarks
from eventflow.bus.sqlite.polling import poll_until
from eventflow.bus.sqlite.transactions import refuse_in_fork
from eventflow.errors import TopicMismatch
from eventflow.model.log import TopicPartition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from eventflow.bus.sqlite.engine import Engine
    from eventflow.bus.sqlite.groups import Claim
    from eventflow.bus.sqlite.housekeeping import Housekeeping

__all__ = ["SqliteConsumer"]


class SqliteConsumer:
    """Of the port. It joins the group in its first poll."""

    def __init__(
        self,
        engine: Engine,
        housekeeping: Housekeeping,
        group: str,
        topics: Sequence[str],
        transactional_id: str,
    ) -> None:
        self._engine = engine
        self._housekeeping = housekeeping
        self._group = group
        self._topics = tuple(topics)
        self._transactional_id = transactional_id
        self._membership = Membership(engine, group, _partitions(engine, topics))
        self._feed = Feed(engine.database)
        self._owned: dict[int, SqliteAssignment] = {}
        self._claimed: list[Claim] = []
        self._assigned: list[SqliteAssignment] = []
        self._lost: list[SqliteAssignment] = []
        self._pid = os.getpid()
        self._is_woken = False
        self._is_closed = False
        self._waker = engine.wakers.make()

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        refuse_in_fork(self._pid)
        if self._is_closed:
            raise RuntimeError(f"This member of {self._group} was closed.")
        poll = poll_until(partial(self._look, limit), self._wait, self._engine.clock, timeout)
        self._is_woken = False
        return poll

    @property
    def lag(self) -> Mapping[TopicPartition, int]:
        return self._feed.lag

    def wake(self) -> None:
        self._is_woken = True
        self._waker.wake()

    @property
    def is_closed(self) -> bool:
        """Whether it left."""
        return self._is_closed

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._waker.close()
        if os.getpid() == self._pid:
            for assignment in self._owned.values():
                assignment.lose()
            self._membership.leave()

    def _look(self, limit: int) -> Poll:
        """Whatever raises in between, the next poll reports what has changed."""
        change = self._membership.keep()
        self._claimed += change.gained
        for claim in change.lost:
            self._lose(claim)
        self._housekeeping.step()
        self._assign()
        records, ended = self._feed.fetch(limit)
        poll = Poll(tuple(self._lost), tuple(self._assigned), records, ended)
        self._lost, self._assigned = [], []
        return poll

    def _wait(self, left: timedelta) -> bool:
        self._waker.wait(left)
        return not self._is_woken

    def _lose(self, claim: Claim) -> None:
        """What was never reported as assigned is not reported as lost either."""
        if claim in self._claimed:
            self._claimed.remove(claim)
            return
        assignment = self._owned.pop(claim.partition)
        assignment.lose()
        for topic in self._topics:
            self._feed.remove(TopicPartition(topic, claim.partition))
        if assignment in self._assigned:
            self._assigned.remove(assignment)
        else:
            self._lost.append(assignment)

    def _assign(self) -> None:
        if not self._claimed:
            return
        places = {
            at: self._engine.catalogue.slot(at)
            for claim in self._claimed
            for at in (TopicPartition(topic, claim.partition) for topic in self._topics)
        }
        with self._engine.database.read() as connection:
            starts = {at: _position(connection, self._group, slot) for at, slot in places.items()}
        for at, slot in places.items():
            self._feed.add(at, slot, starts[at], paused=True)
        for claim in self._claimed:
            self._owned[claim.partition] = SqliteAssignment(
                self._engine, self._feed, self._membership, claim, self._transactional_id
            )
            self._assigned.append(self._owned[claim.partition])
        self._claimed = []


def _position(connection: sqlite3.Connection, group: str, slot: int) -> int:
    """Where the group committed, else the first record kept."""
    low, _ = watermarks(connection, slot)
    row = connection.execute(
        "SELECT next_offset FROM positions WHERE consumer_group = ? AND slot = ?", (group, slot)
    ).fetchone()
    return max(row[0], low) if row else low


def _partitions(engine: Engine, topics: Sequence[str]) -> int:
    """The one partition count of all of them.

    Raises:
        TopicMismatch: they differ, so nobody could own the same number of each.
    """
    counts = {topic: engine.catalogue.fresh(topic).spec.partitions for topic in topics}
    if len(set(counts.values())) != 1:
        raise TopicMismatch(f"Topics of one group need the same partition count, not {counts}.")
    return next(iter(counts.values()))
