"""The brokers of a simulated installation: topics, transactions, groups. No process of ours.

`Cluster` answers at once and never fails: requests take time and get lost in `simulated_link.py`,
which also asks whether there is an `outage`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.errors import TopicMismatch
from eventflow.model.log import Cleanup, TopicInfo, TopicPartition, partition_of
from tests.simulation.history import LoggedRecord
from tests.simulation.simulated_group import Group
from tests.simulation.simulated_log import PartitionLog, Verdict
from tests.simulation.simulated_outage import Outage
from tests.simulation.simulated_transactions import TransactionCoordinator
from tests.simulation.universe import SimulatedIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.model.log import NewRecord, Record, TopicSpec
    from tests.simulation.universe import Universe

__all__ = ["Cluster", "Topic"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its partitions."""

    spec: TopicSpec
    info: TopicInfo
    logs: tuple[PartitionLog, ...]


@dataclass
class Cluster:
    """All that lives as long as the installation."""

    universe: Universe
    topics: dict[str, Topic] = field(default_factory=dict)
    outage: Outage = field(init=False)
    transactions: TransactionCoordinator = field(init=False)
    _groups: dict[str, Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outage = Outage(self.universe)
        self.transactions = TransactionCoordinator(self.universe, self.outage)

    def group(self, name: str) -> Group:
        """A consumer group; an empty one when nobody has joined yet."""
        return self._groups.setdefault(name, Group(self.universe, self.outage))

    def topic(self, name: str) -> Topic:
        """A topic.

        Raises:
            TopicMismatch: there is none.
        """
        if name not in self.topics:
            raise TopicMismatch(f"There is no topic {name}.")
        return self.topics[name]

    def find(self, at: TopicPartition) -> PartitionLog | None:
        """A partition, while there is one."""
        topic = self.topics.get(at.topic)
        return None if topic is None else topic.logs[at.partition]

    def log(self, at: TopicPartition) -> PartitionLog:
        """A partition.

        Raises:
            TopicMismatch: there is none.
        """
        logs = self.topic(at.topic).logs
        if not 0 <= at.partition < len(logs):
            raise TopicMismatch(f"{at.topic} has {len(logs)} partitions: there is no {at}")
        return logs[at.partition]

    def place(self, record: NewRecord) -> PartitionLog:
        """Where a record goes.

        Raises:
            TopicMismatch: there is no such topic or partition.
        """
        logs = self.topic(record.topic).logs
        number = record.partition
        if number is None:
            number = partition_of(record.key, len(logs))
        return self.log(TopicPartition(record.topic, number))

    def append(self, record: NewRecord, writer: int) -> int:
        """Append outside of any transaction; where it stands."""
        log = self.place(record)
        verdict = Verdict(writer, is_committed=True, sequence=self.universe.stamp())
        offset = log.append(record, self.universe.now, verdict)
        is_compact = self.topics[record.topic].spec.cleanup is Cleanup.COMPACT
        if is_compact and self.universe.happens("log.cleaned"):
            log.clean()
        self.universe.notify()
        return offset

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> list[str]:
        """As of the port."""
        differences = [line for spec in specs for line in self._differences(spec, create)]
        if differences:
            raise TopicMismatch("\n".join(differences))
        missing = [spec for spec in specs if spec.name not in self.topics]
        for spec in missing:
            self._make(spec)
        return [spec.name for spec in missing]

    def committed(self, prefix: str = "") -> dict[str, list[LoggedRecord]]:
        """All that committed readers see or saw, by topic without the prefix: also what was
        compacted since, and what was decided while its markers are on their way."""
        return {
            name.removeprefix(prefix): [
                _logged(name.removeprefix(prefix), entry.record, entry.verdict)
                for log in topic.logs
                for entry in log.everything
                if entry.verdict.is_committed
            ]
            for name, topic in self.topics.items()
        }

    def _make(self, spec: TopicSpec) -> None:
        topic_id = SimulatedIds(self.universe.random).token()
        self.topics[spec.name] = Topic(
            spec,
            TopicInfo(spec.name, topic_id, spec.partitions),
            tuple(PartitionLog(TopicPartition(spec.name, n)) for n in range(spec.partitions)),
        )

    def _differences(self, wanted: TopicSpec, create: bool) -> Iterator[str]:
        if wanted.name not in self.topics:
            if not create:
                yield f"{wanted.name}: missing"
            return
        found = self.topics[wanted.name].spec
        if found.partitions != wanted.partitions:
            yield f"{wanted.name}: {found.partitions} partitions, has to have {wanted.partitions}"
        if found.cleanup is not wanted.cleanup:
            yield f"{wanted.name}: cleanup is {found.cleanup}, has to be {wanted.cleanup}"
        if found.max_record_bytes < wanted.max_record_bytes:
            yield (
                f"{wanted.name}: takes {found.max_record_bytes} bytes,"
                f" has to take {wanted.max_record_bytes}"
            )
        if found.retention is not None and (
            wanted.retention is None or found.retention < wanted.retention
        ):
            yield f"{wanted.name}: keeps {found.retention}, has to keep {wanted.retention}"


def _logged(topic: str, record: Record, verdict: Verdict) -> LoggedRecord:
    assert verdict.sequence is not None
    return LoggedRecord(
        sequence=verdict.sequence,
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        appended_at=record.appended_at,
        writer=verdict.writer,
    )
