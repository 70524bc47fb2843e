"""What a member owns: one partition number, fenced by the claim that it stands on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.groups import check_claim
from eventflow.bus.sqlite.transactions import (
    BufferedTransaction,
    check_epoch,
    refuse_in_fork,
    take_over,
)
from eventflow.errors import Fenced
from eventflow.model.log import TopicPartition

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from eventflow.bus.sqlite.engine import Engine
    from eventflow.bus.sqlite.feed import Feed
    from eventflow.bus.sqlite.groups import Claim, Membership

__all__ = ["SqliteAssignment"]


class SqliteAssignment:
    """Of the port: ownership of one partition number, fenced by the claim."""

    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        membership: Membership,
        claim: Claim,
        transactional_id: str,
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._membership = membership
        self._claim = claim
        self._transactional_id = f"{transactional_id}.{claim.partition}"
        self._pid = os.getpid()
        self._is_lost = False
        self._epoch: int | None = None
        self._open: BufferedTransaction | None = None

    @property
    def claim(self) -> Claim:
        """What it stands on."""
        return self._claim

    @property
    def partition(self) -> int:
        return self._claim.partition

    @property
    def is_live(self) -> bool:
        return not (self._is_lost or self._membership.is_lapsed or os.getpid() != self._pid)

    def acquire(self) -> None:
        self._require_live()
        with self._engine.database.write() as connection:
            self._check_claim(connection)
            self._epoch = take_over(connection, self._transactional_id)
        self._open = None

    def seek(self, topic: str, offset: int) -> None:
        self._require_live()
        self._feed.seek(self._at(topic), offset)

    def pause(self, topic: str) -> None:
        self._require_live()
        self._feed.pause(self._at(topic), paused=True)

    def resume(self, topic: str) -> None:
        self._require_live()
        self._feed.pause(self._at(topic), paused=False)

    def begin(self) -> BufferedTransaction:
        self._require_live()
        if self._epoch is None:
            raise RuntimeError(f"Partition {self.partition} was not acquired.")
        if self._open is not None and self._open.is_open:
            raise RuntimeError(f"{self._transactional_id} has an open transaction already.")
        with self._engine.database.read() as connection:
            check_epoch(connection, self._transactional_id, self._epoch)
        self._open = BufferedTransaction(self._engine, self, self._epoch)
        return self._open

    def lose(self) -> None:
        """It is somebody else's from now on."""
        self._is_lost = True

    def check(self, connection: sqlite3.Connection, epoch: int) -> None:
        """As of a guard: neither the partition nor the transactional id was taken over."""
        self._require_live()
        self._check_claim(connection)
        check_epoch(connection, self._transactional_id, epoch)

    def consume(self, connection: sqlite3.Connection, consumed: Mapping[str, int]) -> None:
        """As of a guard."""
        connection.executemany(
            "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT (consumer_group, slot)"
            " DO UPDATE SET next_offset = excluded.next_offset",
            [
                (self._claim.group, self._engine.catalogue.slot(self._at(topic)), offset)
                for topic, offset in consumed.items()
            ],
        )

    def _check_claim(self, connection: sqlite3.Connection) -> None:
        try:
            check_claim(connection, self._claim)
        except Fenced:
            self.lose()
            raise

    def _require_live(self) -> None:
        refuse_in_fork(self._pid)
        if not self.is_live:
            raise Fenced(
                f"Partition {self.partition} of group {self._claim.group} was lost; nothing was"
                " written."
            )

    def _at(self, topic: str) -> TopicPartition:
        return TopicPartition(topic, self.partition)
