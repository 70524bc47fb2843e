"""One real Kafka broker (KRaft, broker and controller in one process) on free loopback ports.

Guarantees: a started server answers an admin client; after `kill` and `restart` it is on the
same port with the data it had acknowledged; `stop` leaves neither process nor data behind.
Replication factors are 1, and what only makes tests wait is shortened; everything else is
Kafka's default, so that what the tests see is what users get.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.processes import ServerProcess, free_port, run_to_end

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


class KafkaServer(KafkaEndpoint):
    """A broker of this test session, from the folder of jars that `make servers` made."""

    def __init__(self, jars: Path, settings: Mapping[str, str] | None = None) -> None:
        self._port, self._controller_port = free_port(), free_port()
        super().__init__(f"127.0.0.1:{self._port}")
        self._jars = jars
        self._settings = {**BROKER_SETTINGS, **(settings or {})}
        self.folder: Path | None = None
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        """The broker's process; only while it runs."""
        return self._running().pid

    def start(self) -> None:
        """A new broker without topics, ready when this returns."""
        self.folder = Path(tempfile.mkdtemp(prefix="eventflow-kafka-"))
        properties = self._write_settings(self.folder)
        run_to_end(
            "Kafka's storage tool",
            [
                *self._java("-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"),
                *("--cluster-id", _CLUSTER_ID, "--standalone", "--config", str(properties)),
            ],
        )
        self.restart()

    def kill(self) -> None:
        """The broker's machine burns down (SIGKILL); the disk is saved."""
        self._running().kill()
        self._process = None

    def restart(self) -> None:
        """The broker again, after `kill`, on the same port and data; ready when this returns."""
        assert self.folder is not None, "start() comes first"
        assert self._process is None, "still running"
        self._process = ServerProcess(
            "Kafka",
            self._java("-Xmx512m", "kafka.Kafka", str(self.folder / "server.properties")),
            self.folder,
        )
        self._process.wait_until(self.answers)

    def pause(self) -> None:
        """The broker hangs (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """A paused broker goes on."""
        self._running().resume()

    def stop(self) -> None:
        """Ends the broker and removes its data, for which no clean shutdown is needed."""
        if self._process is not None:
            self.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _running(self) -> ServerProcess:
        assert self._process is not None, "not running"
        return self._process

    def _java(self, option: str, *main: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties"
        options = ["-XX:+UseSerialGC", "-XX:-UsePerfData", option, log4j]
        return ["java", *options, "-cp", f"{self._jars}/*", *main]

    def _write_settings(self, folder: Path) -> Path:
        listener = f"PLAINTEXT://127.0.0.1:{self._port}"
        controller = f"127.0.0.1:{self._controller_port}"
        settings = {
            **self._settings,
            "listeners": f"{listener},CONTROLLER://{controller}",
            "advertised.listeners": listener,
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(folder / "data"),
        }
        (folder / "log4j2.properties").write_text(_LOG4J)
        properties = folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return properties
