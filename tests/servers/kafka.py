"""One real Kafka broker (KRaft, broker and controller in one process) on free loopback ports.

Replication factors are 1, and what only makes tests wait is shortened; everything else is
Kafka's default, so that what the tests see is what users get. `kafka_cluster.py` has three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.servers.local_server import LocalServer
from tests.servers.processes import free_port, run_to_end
from tests.support.eventually import eventually

_LOG4J = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""
BROKER_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "auto.create.topics.enable": "false",
    # A killed broker may not come back before its old registration has ended: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}
_CLUSTER_ID = "ZXZlbnRmbG93LXRlc3RzMQ"


class KafkaEndpoint:
    """Where a broker is, whoever runs it."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def admin(self) -> AdminClient:
        """A new admin client that keeps its complaints about a missing broker to itself."""
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

    def answers(self) -> bool:
        """Whether a broker is there and takes requests."""
        try:
            return bool(self.admin().list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    def warm_up(self) -> None:
        """Has Kafka make its own topics, which it does at first use: that may take longer than
        anybody waits, on a machine that has other work."""
        eventually(self._has_its_own_topics, 120, "Kafka's own topics are not there")

    def _has_its_own_topics(self) -> bool:
        where = {"bootstrap.servers": self.bootstrap_servers, "log_level": 0}
        Producer({**where, "transactional.id": "first"}).init_transactions(10.0)
        consumer = Consumer({**where, "group.id": "first"})
        try:
            consumer.committed([TopicPartition("any", 0)], timeout=10.0)
        finally:
            consumer.close()
        return True


@dataclass(frozen=True)
class Node:
    """A broker and controller in one process, and where it listens."""

    number: int
    port: int
    controller_port: int

    @classmethod
    def new(cls, number: int) -> Node:
        """On free ports."""
        return cls(number, free_port(), free_port())

    @property
    def voter(self) -> str:
        """As `controller.quorum.voters` names it."""
        return f"{self.number}@127.0.0.1:{self.controller_port}"


class KafkaServer(KafkaEndpoint, LocalServer):
    """A broker of this test session, from the folder of jars that `make servers` made; alone, or
    the `node` of a cluster whose `quorum` it is told."""

    name = "Kafka"

    def __init__(
        self,
        jars: Path,
        settings: Mapping[str, str] | None = None,
        node: Node | None = None,
        quorum: Sequence[Node] = (),
    ) -> None:
        LocalServer.__init__(self)
        self.node = node or Node.new(1)
        KafkaEndpoint.__init__(self, f"127.0.0.1:{self.node.port}")
        self._jars = jars
        self._quorum = tuple(quorum) or (self.node,)
        self._settings = {**BROKER_SETTINGS, **(settings or {})}

    def answers(self) -> bool:
        """Whether this broker takes requests, and the cluster counts it in."""
        try:
            return self.node.number in self.admin().list_topics(timeout=1.0).brokers
        except KafkaException:
            return False

    def _prepare(self, folder: Path) -> None:
        properties = self._write_settings(folder)
        storage_tool = self._java(
            folder, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"
        )
        run_to_end(
            "Kafka's storage tool",
            [*storage_tool, "--cluster-id", _CLUSTER_ID, "--config", str(properties)],
        )

    def _command(self, folder: Path) -> list[str]:
        heap = "-Xmx512m" if self._quorum == (self.node,) else "-Xmx256m"
        return self._java(folder, heap, "kafka.Kafka", str(folder / "server.properties"))

    def _java(self, folder: Path, option: str, *main: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={folder}/log4j2.properties"
        options = ["-XX:+UseSerialGC", "-XX:-UsePerfData", option, log4j]
        return ["java", *options, "-cp", f"{self._jars}/*", *main]

    def _write_settings(self, folder: Path) -> Path:
        listener = f"PLAINTEXT://127.0.0.1:{self.node.port}"
        settings = {
            **self._settings,
            "node.id": str(self.node.number),
            "listeners": f"{listener},CONTROLLER://127.0.0.1:{self.node.controller_port}",
            "advertised.listeners": listener,
            "controller.quorum.voters": ",".join(each.voter for each in self._quorum),
            "log.dirs": str(folder / "data"),
        }
        (folder / "log4j2.properties").write_text(_LOG4J)
        properties = folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return properties
