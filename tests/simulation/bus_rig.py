"""A universe with simulated brokers only, and what tests do on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.model.log import Cleanup, NewRecord, TopicPartition, TopicSpec
from tests.simulation.simulated_bus import SimulatedBus
from tests.simulation.simulated_cluster import Cluster
from tests.simulation.universe import Process, Universe

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.bus.port import Assignment, Consumer, Transaction
    from tests.simulation.happenings import Happening

__all__ = ["PATIENCE", "POLL", "SECOND", "Rig", "member_of", "opened", "owned_by", "record"]

SECOND = timedelta(seconds=1)
POLL = timedelta(milliseconds=200)
PATIENCE = timedelta(seconds=10)


@dataclass
class Rig:
    """A universe with brokers, and topics `in`, `out` and `state` of two partitions."""

    universe: Universe
    cluster: Cluster = field(init=False)
    outside: SimulatedBus = field(init=False)
    died_of: list[BaseException | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Cluster(self.universe)
        self.outside = self.connect()
        day = timedelta(days=1)
        self.outside.ensure(
            [
                TopicSpec("in", 2, Cleanup.DELETE, day, 10_000),
                TopicSpec("out", 2, Cleanup.DELETE, day, 10_000),
                TopicSpec("state", 2, Cleanup.COMPACT, None, 10_000),
            ],
            create=True,
        )

    @classmethod
    def quiet(cls, *told: Happening) -> Rig:
        """Nothing goes wrong but what is told."""
        return cls(Universe.by(1, {}, frozenset(told)))

    def connect(self) -> SimulatedBus:
        """The bus of the process that asks for it."""
        return SimulatedBus(self.universe, self.cluster)

    def spawn(self, main: Callable[[SimulatedBus], object]) -> Process:
        """A process with a bus of its own."""

        def live(_process: Process) -> None:
            main(self.connect())

        return self.universe.spawn("p", live, lambda _, error: self.died_of.append(error))

    def run(self, duration: timedelta) -> None:
        """Let time pass."""
        self.universe.run(lambda: False, self.universe.time + duration)

    def until(self, condition: Callable[[], object], within: timedelta = SECOND * 60) -> None:
        """Let time pass until it is so."""
        assert self.universe.run(lambda: bool(condition()), self.universe.time + within)

    def values(self, topic: str, partition: int = 0) -> list[str]:
        """What a reader finds."""
        read = read_to_end(self.outside, TopicPartition(topic, partition))
        return [(record.value or b"").decode() for record in read]


def record(topic: str, value: str, partition: int = 0, key: str = "k") -> NewRecord:
    return NewRecord(topic, key.encode(), value.encode(), partition=partition)


def owned_by(consumer: Consumer, count: int = 2) -> dict[int, Assignment]:
    """The assignments of a lone member, once it has them."""
    owned: dict[int, Assignment] = {}
    while len(owned) < count:
        owned |= {each.partition: each for each in consumer.poll(POLL).assigned}
    return owned


def member_of(bus: SimulatedBus) -> Consumer:
    return bus.consumer("group", ["in"], transactional_id="tx")


def opened(assignment: Assignment, value: str) -> Transaction:
    assignment.acquire()
    transaction = assignment.begin()
    transaction.append(record("out", value, assignment.partition))
    return transaction
