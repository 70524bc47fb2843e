"""The servers of the tests are real, come back as they were, and never outlive a test run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError
from confluent_kafka.admin import AdminClient, NewTopic

from tests.servers.finding import found_s3
from tests.servers.kafka import KafkaEndpoint, KafkaServer
from tests.servers.processes import ServerFailed, ServerProcess
from tests.servers.s3 import S3Endpoint, S3Server
from tests.servers.sharing import shared_servers
from tests.support.eventually import eventually

_ROOT = Path(__file__).parents[2]
# Starts a server as the fixtures do, says its pid, and hangs until somebody kills it.
_OWNER = """
import signal, sys
from tests.servers import finding
server = getattr(finding, sys.argv[1])()
server.start()
print(server.pid, server.folder, flush=True)
signal.pause()
"""


def is_gone(pid: int) -> bool:
    """Whether no process has this pid, or only the remains of one."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def create_topic(admin: AdminClient, topic: str, partitions: int) -> None:
    created = admin.create_topics([NewTopic(topic, num_partitions=partitions)])
    created[topic].result(timeout=10)


def partitions_of(admin: AdminClient, topic: str) -> int:
    found = admin.list_topics(timeout=5).topics.get(topic)
    return len(found.partitions) if found else 0


def test_the_broker_answers_an_admin_client(kafka_server: KafkaEndpoint, topic_prefix: str) -> None:
    admin, topic = kafka_server.admin(), f"{topic_prefix}events"

    create_topic(admin, topic, partitions=3)

    assert eventually(lambda: partitions_of(admin, topic)) == 3


def test_the_second_conditional_put_of_a_key_is_refused(
    s3_server: S3Endpoint, s3_bucket: str, s3_prefix: str
) -> None:
    client, key = s3_server.client(), f"{s3_prefix}once"
    client.put_object(Bucket=s3_bucket, Key=key, Body=b"first", IfNoneMatch="*")

    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket=s3_bucket, Key=key, Body=b"second", IfNoneMatch="*")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert client.get_object(Bucket=s3_bucket, Key=key)["Body"].read() == b"first"


def test_a_killed_broker_comes_back_with_its_topics(own_kafka_server: KafkaServer) -> None:
    admin = own_kafka_server.admin()
    create_topic(admin, "kept", partitions=2)
    old_pid = own_kafka_server.pid

    own_kafka_server.kill()
    assert is_gone(old_pid)
    assert not own_kafka_server.answers()
    own_kafka_server.restart()

    assert eventually(lambda: partitions_of(admin, "kept")) == 2


def test_a_killed_s3_server_comes_back_with_its_objects(own_s3_server: S3Server) -> None:
    own_s3_server.create_bucket("kept")
    own_s3_server.client().put_object(Bucket="kept", Key="a/b", Body=b"here")

    own_s3_server.kill()
    assert not own_s3_server.answers()
    own_s3_server.restart()

    assert own_s3_server.client().get_object(Bucket="kept", Key="a/b")["Body"].read() == b"here"


def test_a_stopped_server_leaves_no_process(own_s3_server: S3Server) -> None:
    pid = own_s3_server.pid

    own_s3_server.stop()

    assert is_gone(pid)


@pytest.mark.parametrize(
    ("server_fixture", "make"), [("kafka_server", "local_kafka"), ("s3_server", "local_s3")]
)
def test_a_server_dies_with_the_test_run_that_was_killed(
    request: pytest.FixtureRequest, server_fixture: str, make: str
) -> None:
    request.getfixturevalue(server_fixture)  # skips where there are no servers
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, make], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout as said:
        pid_word, folder_word = said.readline().split()
    pid, folder = int(pid_word), Path(folder_word)
    assert not is_gone(pid)
    assert folder.is_dir()

    owner.kill()
    owner.wait()

    eventually(lambda: is_gone(pid), timeout=10, message=f"server {pid} outlives its owner")
    eventually(lambda: not folder.exists(), message=f"{folder} outlives its owner")


def test_the_processes_of_a_test_run_share_a_server_that_ends_with_the_run(
    monkeypatch: pytest.MonkeyPatch, s3_server: S3Endpoint
) -> None:
    monkeypatch.setenv("EVENTFLOW_TEST_KAFKA", "a-server-of-the-user:9092")
    monkeypatch.delenv("EVENTFLOW_TEST_S3", raising=False)

    with shared_servers(), found_s3() as one, found_s3() as other:
        kafka = os.environ["EVENTFLOW_TEST_KAFKA"]
        while_it_lasts = one.answers()

    assert kafka == "a-server-of-the-user:9092"
    assert one.endpoint_url == other.endpoint_url != s3_server.endpoint_url
    assert while_it_lasts
    assert not one.answers()
    assert "EVENTFLOW_TEST_S3" not in os.environ


def test_a_server_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    script = "import sys; sys.exit('the disk is full')"
    process = ServerProcess("Demo", [sys.executable, "-c", script], tmp_path)

    with pytest.raises(ServerFailed, match="the disk is full"):
        process.wait_until(lambda: False)


def test_a_command_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match="could not be started"):
        ServerProcess("Demo", [str(tmp_path / "nothing")], tmp_path)
