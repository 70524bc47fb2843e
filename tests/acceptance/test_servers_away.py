"""What is missing or refused is said within 15 seconds, with what to do about it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.installation import on_kafka_and_s3
from tests.servers.kafka import KafkaEndpoint
from tests.servers.processes import free_port
from tests.servers.s3 import S3Endpoint
from tests.support.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.s3]

OPERATOR_ACTS = 5
LONGEST_S = 15
COMMANDS = [
    ("up", "--metrics-port", "0"),
    ("runner", "--metrics-port", "0"),
    ("trigger-service", "--metrics-port", "0"),
]


@pytest.fixture
def cluster(
    tmp_path: Path,
    kafka_server: KafkaEndpoint,
    s3_server: S3Endpoint,
    s3_bucket: str,
    topic_prefix: str,
) -> Cluster:
    """An installation on servers that are well; each test makes one of them not so."""
    made = on_kafka_and_s3(tmp_path, kafka_server, s3_server, s3_bucket, topic_prefix)
    return made.cluster


def refused(cluster: Cluster, *words: str, **env: str) -> str:
    """What a command says when it is refused in time, as a matter for the operator."""
    began = time.monotonic()

    done = Cluster({**cluster.env, **env}, cluster.folder).eventflow(*words, check=False)

    assert time.monotonic() - began < LONGEST_S
    assert done.returncode == OPERATOR_ACTS, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("command", [*COMMANDS, ("publish", "landed")])
def test_a_broker_that_is_not_there_is_named(cluster: Cluster, command: tuple[str, ...]) -> None:
    address = f"127.0.0.1:{free_port()}"

    said = refused(cluster, *command, EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS=address)

    assert "BusUnreachable" in said
    assert address in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bucket_that_is_not_there_is_named(cluster: Cluster, command: tuple[str, ...]) -> None:
    said = refused(cluster, *command, EVENTFLOW_STORE__URL="s3://there-is-none/of-it")

    assert "BucketMissing" in said
    assert "there-is-none" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_credentials_are_refused(cluster: Cluster, command: tuple[str, ...]) -> None:
    said = refused(cluster, *command, AWS_SECRET_ACCESS_KEY="wrong")

    assert "StoreForbidden" in said
    assert "AWS_SECRET_ACCESS_KEY" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_s3_server_that_is_not_there_is_named(
    cluster: Cluster, command: tuple[str, ...]
) -> None:
    address = f"http://127.0.0.1:{free_port()}"

    said = refused(cluster, *command, EVENTFLOW_STORE__ENDPOINT_URL=address)

    assert "StoreUnreachable" in said
    assert address in said


def test_a_setting_that_cannot_be_is_named(cluster: Cluster) -> None:
    said = refused(cluster, "runs", EVENTFLOW_RUNNER__SLOTS="many")

    assert "EVENTFLOW_RUNNER__SLOTS" in said


def test_a_setting_of_the_protocol_is_refused_by_name(cluster: Cluster) -> None:
    said = refused(cluster, "runs", EVENTFLOW_KAFKA__CONFIG='{"isolation.level": "x"}')

    assert "isolation.level" in said


def test_topics_that_differ_are_named(cluster: Cluster) -> None:
    cluster.eventflow("topics", "ensure")

    said = refused(cluster, "topics", "ensure", EVENTFLOW_PARTITIONS="7")

    assert "TopicMismatch" in said
    assert "partitions" in said


def test_missing_topics_are_named_where_they_may_not_be_made(cluster: Cluster) -> None:
    said = refused(cluster, *COMMANDS[0], EVENTFLOW_CREATE_TOPICS="false")

    assert "TopicMismatch" in said
    assert "eventflow topics ensure" in said
