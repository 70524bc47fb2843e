"""Where benchmarks run: eventflow on the embedded bus, and on Kafka, each in a folder of its own.

What is started here ends with its context, and with this process at the latest.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eventflow import app, context
from eventflow.context import World
from eventflow.settings import Settings
from tests.servers.finding import found_kafka
from tests.support.cluster import Cluster

__all__ = ["Place", "embedded", "on_kafka", "temporary_folder"]


@dataclass(frozen=True, slots=True)
class Place:
    """An installation with nothing running. `env` is what a user would export."""

    backend: str
    folder: Path
    env: dict[str, str]

    @contextmanager
    def connected(self) -> Iterator[World]:
        """A client of it in this process: what `Event(…).publish()` uses."""
        former = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        world = app.connect(Settings.load())
        try:
            with context.using(world):
                yield world
        finally:
            world.close()
            for name, value in former.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    @contextmanager
    def up(self) -> Iterator[Cluster]:
        """`eventflow up` in a process of its own."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        cluster = Cluster(self.env, logs)
        try:
            cluster.start("up")
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def embedded() -> Iterator[Place]:
    """The embedded bus and a local store."""
    with temporary_folder() as folder:
        yield Place("embedded", folder, {"EVENTFLOW_HOME": str(folder / "state")})


@contextmanager
def on_kafka() -> Iterator[Place]:
    """A single broker on loopback, found as the tests find one, and a local store; with as many
    partitions as the embedded bus has.

    Raises:
        ServerMissing: there is none to be had; the message says how to get one.
    """
    with found_kafka() as kafka, temporary_folder() as folder:
        settings = {
            "EVENTFLOW_HOME": str(folder / "state"),
            "EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "EVENTFLOW_TOPIC_PREFIX": f"b-{secrets.token_hex(4)}.",
            "EVENTFLOW_PARTITIONS": "4",
        }
        yield Place("kafka", folder, settings)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes with the context, also when a killed process still wrote into it."""
    with tempfile.TemporaryDirectory(prefix="eventflow-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)
