"""The embedded bus: puts the parts together."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.catalogue import Catalogue
from eventflow.bus.sqlite.consumer import SqliteConsumer
from eventflow.bus.sqlite.database import Database
from eventflow.bus.sqlite.engine import Engine
from eventflow.bus.sqlite.housekeeping import Housekeeping
from eventflow.bus.sqlite.log import append, offset_at, place, watermarks
from eventflow.bus.sqlite.machine import boot_id
from eventflow.bus.sqlite.reader import SqliteReader
from eventflow.bus.sqlite.transactions import SqliteWriter
from eventflow.bus.sqlite.wakers import Wakers
from eventflow.effects import Effects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from eventflow.model.log import NewRecord, TopicInfo, TopicPartition, TopicSpec
    from eventflow.model.offset import Offset

__all__ = ["SqliteBus"]


class SqliteBus:
    """The log in `<folder>/bus.db`, for any number of processes of one machine."""

    def __init__(
        self,
        folder: Path,
        *,
        session: timedelta = timedelta(seconds=6),
        patience: timedelta = timedelta(seconds=10),
        effects: Effects | None = None,
    ) -> None:
        """`session`: how long a member that does not poll keeps its partitions. `patience`: how
        long a call waits for a process that holds the file, before it raises BusBusy.

        Raises:
            InvalidSettings: the folder cannot hold the log (network file system, another schema).
            BusForbidden: it may not be written.
        """
        effects = effects or Effects()
        database = Database(folder, clock=effects.clock, patience=patience)
        self._engine = Engine(
            database,
            Catalogue(database, effects.ids),
            Wakers(folder, database, effects.ids),
            effects.clock,
            boot_id(),
            session,
        )
        self._housekeeping = Housekeeping(self._engine)
        self._members: list[SqliteConsumer] = []

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> Sequence[str]:
        return self._engine.catalogue.ensure(specs, create=create)

    def topic(self, name: str) -> TopicInfo:
        return self._engine.catalogue.fresh(name).info

    def publish(self, records: Sequence[NewRecord]) -> Sequence[Offset]:
        placed = [place(self._engine.catalogue, record) for record in records]
        if not placed:
            return []
        with self._engine.database.write() as connection:
            offsets = append(connection, placed, self._engine.wall_clock(), gap=0)
        self._engine.wakers.wake_all()
        return offsets

    def writer(self, transactional_id: str, *, timeout: timedelta) -> SqliteWriter:  # noqa: ARG002
        # No transaction is open in this log, so none can time out.
        return SqliteWriter(self._engine, transactional_id)

    def reader(self, start: Mapping[TopicPartition, int]) -> SqliteReader:
        return SqliteReader(self._engine, start)

    def consumer(
        self, group: str, topics: Sequence[str], *, transactional_id: str
    ) -> SqliteConsumer:
        member = SqliteConsumer(self._engine, self._housekeeping, group, topics, transactional_id)
        self._members = [*(other for other in self._members if not other.is_closed), member]
        return member

    def high_watermark(self, partition: TopicPartition) -> int:
        return self._watermarks(partition)[1]

    def low_watermark(self, partition: TopicPartition) -> int:
        return self._watermarks(partition)[0]

    def offset_at(self, partition: TopicPartition, at: datetime) -> int:
        slot = self._engine.catalogue.slot(partition)
        with self._engine.database.read() as connection:
            return offset_at(connection, slot, at)

    def close(self) -> None:
        for member in self._members:
            member.close()
        self._engine.database.close()

    def _watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        slot = self._engine.catalogue.slot(partition)
        with self._engine.database.read() as connection:
            return watermarks(connection, slot)
