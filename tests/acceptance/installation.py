"""Whole installations, embedded and on Kafka with S3, as a user sets them up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventflow import app, context
from eventflow.context import World
from tests.servers.kafka import KafkaEndpoint
from tests.servers.s3 import S3Endpoint
from tests.support.cluster import Cluster
from tests.support.history import EmbeddedLog, FileObjects, History, KafkaLog, S3Objects

__all__ = ["SHORT_CLOCKS", "Installation", "embedded", "on_kafka_and_s3"]

SHORT_CLOCKS = {
    "EVENTFLOW_KAFKA__SESSION": "2",
    "EVENTFLOW_KAFKA__HEARTBEAT": "0.5",
    "EVENTFLOW_RUNNER__LEASE": "4",
    "EVENTFLOW_RUNNER__LEASE_MARGIN": "1",
    "EVENTFLOW_RUNNER__HEARTBEAT": "0.5",
}
"""For tests that kill services: a take-over takes seconds."""


@dataclass(frozen=True)
class Installation:
    """The settings of an installation, its processes, and what can be read of its history."""

    name: str
    cluster: Cluster
    history: History

    @contextmanager
    def running(self) -> Iterator[Cluster]:
        """Its processes, none of which outlives the block."""
        try:
            yield self.cluster
        finally:
            self.cluster.stop()

    @contextmanager
    def connected(self) -> Iterator[World]:
        """A client of it in this process, for what publishes often."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.cluster.env.items():
                patch.setenv(name, value)
            world = app.connect()
            with context.using(world):
                yield world
            world.close()


def embedded(folder: Path, **env: str) -> Installation:
    """On the embedded bus and a local store."""
    home = folder / "state"
    cluster = Cluster({**env, "EVENTFLOW_HOME": str(home)}, _made(folder / "logs"))
    log = EmbeddedLog(home, "eventflow.")
    return Installation("embedded", cluster, History(log, FileObjects(home / "store")))


def on_kafka_and_s3(
    folder: Path, kafka: KafkaEndpoint, s3: S3Endpoint, bucket: str, topics: str, **env: str
) -> Installation:
    """On a real broker and a real S3 server."""
    prefix = f"{topics}store/"
    settings = {
        "EVENTFLOW_HOME": str(folder / "state"),
        "EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "EVENTFLOW_TOPIC_PREFIX": topics,
        "EVENTFLOW_PARTITIONS": "4",
        "EVENTFLOW_STORE__URL": f"s3://{bucket}/{prefix.rstrip('/')}",
        "EVENTFLOW_STORE__ENDPOINT_URL": s3.endpoint_url,
        "EVENTFLOW_STORE__REGION": s3.region,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        **env,
    }
    cluster = Cluster(settings, _made(folder / "logs"))
    history = History(
        KafkaLog(kafka.bootstrap_servers, topics), S3Objects(s3.client(), bucket, prefix)
    )
    return Installation("kafka", cluster, history)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
