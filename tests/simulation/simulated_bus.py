"""The bus of one process on a simulated cluster. It behaves as Kafka does, not as it should.

    simulated_cluster.py        what lives as long as the installation: topics, groups
    simulated_outage.py         when no broker answers
    simulated_log.py            one partition: open transactions, markers, two watermarks
    simulated_transactions.py   the coordinator of transactions
    simulated_group.py          the coordinator of a group
    simulated_link.py           requests and what goes on in the background of a process
    simulated_producer.py       transactions, as a client has them
    simulated_consumer.py       members of a group, assignments, readers

What goes wrong here: `bus.refused` (a request never arrives, or a commit is aborted),
`bus.answer-lost` (it took place, nobody says so), `marker.late` (a transaction is decided, but in
this partition not ended), `replica.late` (it is ended at the leader, but not where readers
fetch), `group.rebalances` (all join again), `group.expels` (a member is thrown out), `log.cleaned`
(a compacted partition forgets old values), `fetch.short` (a poll brings a few of the records that
are there), `answer.slow`; and an outage of all brokers, which the world begins (`Cluster.outage`).
Besides, a process may die or stop at every request.

Where faults are planted: `SimulatedTransaction.fence_of_commit` and `SimulatedAssignment.is_live`
(fence fetched at commit), `SimulatedBus.high_watermark` (restore to the last stable offset:
`PartitionLog.stable`), `SimulatedAssignment.acquire` and `take_over` (no init at take-over),
`TransactionCoordinator` (`init` and `send_offsets` are the two fences: an unfenced writer).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import TopicMismatch
from eventflow.model.offset import Offset
from tests.simulation.simulated_consumer import SimulatedConsumer, SimulatedReader
from tests.simulation.simulated_link import Link
from tests.simulation.simulated_producer import SimulatedProducer, SimulatedWriter, check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from eventflow.model.log import NewRecord, TopicInfo, TopicPartition, TopicSpec
    from tests.simulation.simulated_cluster import Cluster
    from tests.simulation.universe import Universe

__all__ = ["SimulatedBus"]


class SimulatedBus:
    """See `Bus`. It belongs to the process that makes it; made in none, nothing goes wrong."""

    def __init__(
        self,
        universe: Universe,
        cluster: Cluster,
        *,
        session: timedelta = timedelta(seconds=6),
        heartbeat: timedelta = timedelta(seconds=2),
        transaction: timedelta = timedelta(seconds=10),
        patience: timedelta = timedelta(seconds=10),
    ) -> None:
        self._cluster = cluster
        self._link = Link(
            universe, cluster, universe.current, session, heartbeat, transaction, patience
        )
        self._open: list[SimulatedConsumer | SimulatedWriter] = []

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> Sequence[str]:
        """See `Bus`."""
        self._link.ask("bus.ensure")
        made = self._cluster.ensure(specs, create=create)
        self._link.answer("bus.ensure")
        return made

    def topic(self, name: str) -> TopicInfo:
        """See `Bus`."""
        self._link.ask("bus.topic")
        return self._cluster.topic(name).info

    def publish(self, records: Sequence[NewRecord]) -> Sequence[Offset]:
        """See `Bus`. Where the answer gets lost, any number of the records was appended."""
        for record in records:
            check_size(self._cluster, record)
        self._link.ask("bus.publish")
        is_lost = bool(records) and self._link.loses_answer()
        count = self._link.universe.random.randint(1, len(records)) if is_lost else len(records)
        offsets = [self._append(record) for record in records[:count]]
        self._link.answer("bus.publish", is_lost=is_lost)
        return offsets

    def writer(self, transactional_id: str, *, timeout: timedelta) -> SimulatedWriter:
        """See `Bus`."""
        producer = SimulatedProducer(self._link, transactional_id, timeout)
        writer = SimulatedWriter(self._link, producer)
        self._open.append(writer)
        return writer

    def reader(self, start: Mapping[TopicPartition, int]) -> SimulatedReader:
        """See `Bus`."""
        for at in start:
            self._cluster.log(at)
        return SimulatedReader(self._link, start)

    def consumer(
        self, group: str, topics: Sequence[str], *, transactional_id: str
    ) -> SimulatedConsumer:
        """See `Bus`."""
        counts = {topic: self._cluster.topic(topic).info.partitions for topic in topics}
        if len(set(counts.values())) > 1:
            raise TopicMismatch(f"Topics of a group need the same partition count: {counts}")
        consumer = SimulatedConsumer(
            self._link, self._cluster.group(group), topics, transactional_id
        )
        self._open.append(consumer)
        return consumer

    def high_watermark(self, partition: TopicPartition) -> int:
        """See `Bus`."""
        self._link.ask("bus.high-watermark")
        return self._cluster.log(partition).high

    def low_watermark(self, partition: TopicPartition) -> int:
        """See `Bus`."""
        self._link.ask("bus.low-watermark")
        return self._cluster.log(partition).low

    def offset_at(self, partition: TopicPartition, at: datetime) -> int:
        """See `Bus`."""
        self._link.ask("bus.offset-at")
        return self._cluster.log(partition).offset_at(at)

    def close(self) -> None:
        """See `Bus`."""
        made, self._open = self._open, []
        for each in made:
            each.close()

    def _append(self, record: NewRecord) -> Offset:
        log = self._cluster.place(record)
        offset = self._cluster.append(record, self._link.writer)
        topic_id = self._cluster.topic(record.topic).info.topic_id
        return Offset(record.topic, topic_id, log.at.partition, offset)
