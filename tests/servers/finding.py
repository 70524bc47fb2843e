"""Where a test session gets its servers, in this order: the environment, a container engine,
a local start from the cache that `make servers` fills.

Guarantees: the server answers when it is handed out, and what was started here is ended when
the context closes. ServerMissing says how to get a server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.servers.containers import engine_answers, kafka_container, s3_container
from tests.servers.kafka import KafkaEndpoint, KafkaServer
from tests.servers.kafka_cluster import KafkaCluster
from tests.servers.processes import ServerFailed
from tests.servers.provision import kafka_folder, s3_folder
from tests.servers.s3 import S3Endpoint, S3Server
from tests.support.eventually import eventually

Server = TypeVar("Server", KafkaServer, KafkaCluster, S3Server)


class ServerMissing(Exception):
    """No server in any of the three places."""


def local_kafka() -> KafkaServer:
    """A broker to start, kill and restart at will, not started yet; from the cache."""
    return KafkaServer(_jars())


def local_kafka_cluster() -> KafkaCluster:
    """Three of them, not started yet."""
    return KafkaCluster(_jars())


def _jars() -> Path:
    if not kafka_folder().is_dir() or shutil.which("java") is None:
        raise ServerMissing(
            "no Kafka: run `make servers` (needs Java 17 and Maven), start a container engine, "
            "or set EVENTFLOW_TEST_KAFKA=host:port"
        )
    return kafka_folder()


def local_s3(*, versioning: bool = False) -> S3Server:
    """An S3 server to start, kill and restart at will, not started yet; from the cache."""
    if not s3_folder().is_dir():
        raise ServerMissing(
            "no S3 server: run `make servers` (needs Go), start a container engine, or set "
            "EVENTFLOW_TEST_S3=url with EVENTFLOW_TEST_S3_ACCESS_KEY and _SECRET_KEY"
        )
    return S3Server(s3_folder() / "versitygw", versioning=versioning)


@contextmanager
def found_kafka() -> Iterator[KafkaEndpoint]:
    """A broker that answers."""
    if address := os.environ.get("EVENTFLOW_TEST_KAFKA"):
        endpoint = KafkaEndpoint(address)
        _await(endpoint, f"nobody answers at EVENTFLOW_TEST_KAFKA={address}")
        yield endpoint
    elif engine_answers():
        with kafka_container() as endpoint:
            yield endpoint
    else:
        with started(local_kafka()) as endpoint:
            endpoint.warm_up()
            yield endpoint


@contextmanager
def found_s3() -> Iterator[S3Endpoint]:
    """An S3 server that answers and lets us in."""
    if url := os.environ.get("EVENTFLOW_TEST_S3"):
        endpoint = S3Endpoint(
            url,
            os.environ.get("EVENTFLOW_TEST_S3_ACCESS_KEY", ""),
            os.environ.get("EVENTFLOW_TEST_S3_SECRET_KEY", ""),
        )
        _await(endpoint, f"nobody answers at EVENTFLOW_TEST_S3={url}, or refuses the keys")
        yield endpoint
    elif engine_answers():
        with s3_container() as endpoint:
            yield endpoint
    else:
        with started(local_s3()) as endpoint:
            yield endpoint


def _await(endpoint: KafkaEndpoint | S3Endpoint, otherwise: str) -> None:
    """Patiently: the whole test run may be starting at this moment."""
    try:
        eventually(endpoint.answers, 20, otherwise)
    except AssertionError as error:
        raise ServerFailed(str(error)) from error


@contextmanager
def started(server: Server) -> Iterator[Server]:
    """The server running, ended with the context."""
    try:
        server.start()
        yield server
    finally:
        server.stop()
