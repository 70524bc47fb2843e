"""The same servers from a container engine, through testcontainers.

Untested until it has run on a machine with an engine. testcontainers' own reaper removes the
containers when the test session ends, however it ends.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.kafka import BROKER_SETTINGS, KafkaEndpoint
from tests.servers.processes import free_port
from tests.servers.s3 import S3Endpoint
from tests.support.eventually import eventually

_KAFKA_IMAGE = "apache/kafka:4.4.0"
_S3_IMAGE = "versity/versitygw:v1.8.0"


def engine_answers() -> bool:
    """Whether a container engine is there; asked for at most five seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=5)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


@contextmanager
def kafka_container() -> Iterator[KafkaEndpoint]:
    """One broker, advertised on a free port of the host."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  asks the engine

    port = free_port()
    settings = {
        **BROKER_SETTINGS,
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": "1@localhost:9093",
    }
    container = DockerContainer(_KAFKA_IMAGE).with_bind_ports(9092, port)
    for key, value in settings.items():
        container.with_env(f"KAFKA_{key.upper().replace('.', '_')}", value)
    with container:
        endpoint = KafkaEndpoint(f"127.0.0.1:{port}")
        eventually(endpoint.answers, 60.0, "Kafka's container does not answer")
        yield endpoint


@contextmanager
def s3_container() -> Iterator[S3Endpoint]:
    """One S3 server over a folder of the container."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  asks the engine

    port = free_port()
    endpoint = S3Endpoint(f"http://127.0.0.1:{port}", "test", secrets.token_hex(20))
    container = (
        DockerContainer(_S3_IMAGE)
        .with_bind_ports(7070, port)
        .with_env("ROOT_ACCESS_KEY", endpoint.access_key)
        .with_env("ROOT_SECRET_KEY", endpoint.secret_key)
        .with_command("--port :7070 --keep-alive posix /tmp")
    )
    with container:
        eventually(endpoint.answers, 60.0, "the S3 server's container does not answer")
        yield endpoint
