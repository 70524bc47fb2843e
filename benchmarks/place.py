"""Where benchmarks run: eventflow on the embedded bus, on Kafka, and on Kafka with S3.

A server is started once for all that run on it; each benchmark gets an installation of its own
there. What is started here ends with its context, and with this process at the latest.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eventflow import app, context
from eventflow.context import World
from eventflow.settings import Settings
from tests.servers.finding import found_kafka, found_s3
from tests.servers.s3 import S3Endpoint
from tests.support.cluster import Cluster

__all__ = ["BACKENDS", "Place", "Site", "exported", "s3_settings", "site", "temporary_folder"]

BACKENDS = ("embedded", "kafka", "kafka + s3")


@dataclass(frozen=True, slots=True)
class Place:
    """An installation with nothing running. `env` is what a user would export."""

    backend: str
    folder: Path
    env: dict[str, str]

    @contextmanager
    def connected(self) -> Iterator[World]:
        """A client of it in this process: what `Event(…).publish()` uses."""
        with exported(self.env):
            world = app.connect(Settings.load())
            try:
                with context.using(world):
                    yield world
            finally:
                world.close()

    @contextmanager
    def cluster(self, **env: str) -> Iterator[Cluster]:
        """For processes of it, with further settings; all are killed with the context."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        cluster = Cluster({**self.env, **env}, logs)
        try:
            yield cluster
        finally:
            cluster.stop()

    @contextmanager
    def running(self, service: str) -> Iterator[Cluster]:
        """A service in a process of its own, `up` or a part of it; killed with the context."""
        with self.cluster() as cluster:
            cluster.start(service)
            yield cluster


@dataclass(frozen=True, slots=True)
class Site:
    """Servers that run; `env` says where."""

    backend: str
    env: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A new installation there. Topics have as many partitions as on the embedded bus, and
        objects lie in a folder unless there is an S3 server."""
        with temporary_folder() as folder:
            own = {
                "EVENTFLOW_HOME": str(folder / "state"),
                "EVENTFLOW_TOPIC_PREFIX": f"b-{secrets.token_hex(4)}.",
                "EVENTFLOW_PARTITIONS": "4",
            }
            yield Place(self.backend, folder, {**own, **self.env})


@contextmanager
def site(backend: str) -> Iterator[Site]:
    """One of BACKENDS. Kafka is a single broker on loopback, found as the tests find one, and so
    is the S3 server.

    Raises:
        ServerMissing: there is none to be had; the message says how to get one.
    """
    with ExitStack() as servers:
        env: dict[str, str] = {}
        if "kafka" in backend:
            kafka = servers.enter_context(found_kafka())
            env["EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
        if "s3" in backend:
            env |= s3_settings(servers.enter_context(found_s3()))
        yield Site(backend, env)


def s3_settings(server: S3Endpoint) -> dict[str, str]:
    """A store in a new bucket of a server."""
    bucket = f"bench-{secrets.token_hex(4)}"
    server.create_bucket(bucket)
    return {
        "EVENTFLOW_STORE__URL": f"s3://{bucket}",
        "EVENTFLOW_STORE__ENDPOINT_URL": server.endpoint_url,
        "EVENTFLOW_STORE__REGION": server.region,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
    }


@contextmanager
def exported(env: Mapping[str, str]) -> Iterator[None]:
    """The environment of this process with these variables, and as it was afterwards."""
    former = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes with the context, also when a killed process still wrote into it."""
    with tempfile.TemporaryDirectory(prefix="eventflow-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)
