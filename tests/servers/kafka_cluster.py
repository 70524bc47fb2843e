"""Three real Kafka brokers on free loopback ports, each of which a test may kill and restart.

What Kafka keeps for itself (offsets, transactions) has three replicas of which two must be in
sync, as an operator of three brokers has it by default. A partition without a live leader gets
one within seconds: `broker.session.timeout.ms` is that of the single broker of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import KafkaException

from tests.servers.kafka import KafkaEndpoint, KafkaServer, Node
from tests.support.eventually import eventually

_SETTINGS = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # By default 50 partitions each, on two cores a minute of work for three brokers.
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
}


class KafkaCluster(KafkaEndpoint):
    """`brokers` are all of it, from the folder of jars that `make servers` made."""

    def __init__(self, jars: Path) -> None:
        nodes = [Node.new(number) for number in (1, 2, 3)]
        self.brokers = tuple(KafkaServer(jars, _SETTINGS, node, nodes) for node in nodes)
        super().__init__(",".join(each.bootstrap_servers for each in self.brokers))

    def start(self) -> None:
        """New brokers without topics, all of them ready when this returns."""
        with ThreadPoolExecutor() as pool:
            tuple(pool.map(KafkaServer.prepare, self.brokers))
        self.restart(self.brokers)
        self.warm_up()
        eventually(self.is_whole, 60, "not every replica is in sync")

    def restart(self, brokers: Sequence[KafkaServer]) -> None:
        """Killed brokers again, side by side: two of three are needed before any is ready."""
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait()

    def stop(self) -> None:
        """Ends the brokers and removes their data."""
        for broker in self.brokers:
            broker.stop()

    def leader(self, topic: str, partition: int) -> KafkaServer:
        """The broker that leads a partition now."""
        number = self.admin().list_topics(topic, timeout=10).topics[topic].partitions[partition]
        (leader,) = (each for each in self.brokers if each.node.number == number.leader)
        return leader

    def is_whole(self) -> bool:
        """Whether every replica of every partition is in sync."""
        try:
            topics = self.admin().list_topics(timeout=5).topics
        except KafkaException:
            return False
        partitions = [each for topic in topics.values() for each in topic.partitions.values()]
        return all(set(each.replicas) == set(each.isrs) for each in partitions)
