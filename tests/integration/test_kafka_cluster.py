"""Three brokers, of which two hold what is acknowledged: one that dies costs seconds and nothing
else; with two dead nothing is acknowledged, until they are back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from structlog.testing import capture_logs

from eventflow import Event
from eventflow.authoring.event import Published
from eventflow.bus.kafka import KafkaBus
from eventflow.errors import BusUnreachable
from eventflow.model.log import NewRecord, TopicPartition, partition_of
from eventflow.model.topics import Topics
from eventflow.settings import KafkaSettings
from tests.acceptance.installation import Installation, on_kafka_and_s3
from tests.servers.kafka_cluster import KafkaCluster
from tests.servers.s3 import S3Endpoint
from tests.support.eventually import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(400)]

FLOWS = Path(__file__).parents[1] / "acceptance" / "flows"
EVENTS = 60
KILL_AT, RESTART_AT = 20, 40
PATIENCE = timedelta(seconds=3)


@pytest.fixture
def cluster(kafka_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """All three brokers, before and after."""
    yield kafka_cluster
    kafka_cluster.restart([each for each in kafka_cluster.brokers if not each.is_running])
    eventually(kafka_cluster.is_whole, 60, "not every replica is in sync again")


@pytest.fixture
def bus(cluster: KafkaCluster) -> Iterator[KafkaBus]:
    settings = KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, patience=PATIENCE)
    with closing(KafkaBus(settings)) as bus:
        yield bus


def test_topics_have_three_replicas_of_which_two_hold_what_is_acknowledged(
    cluster: KafkaCluster, bus: KafkaBus, topic_prefix: str
) -> None:
    topics = Topics(topic_prefix, 2, 2)

    with capture_logs() as logs:
        made = bus.ensure(topics.specs(), create=True)

    assert [each for each in logs if each["event"] == "kafka.single_replica"] == []
    assert sorted(made) == sorted(each.name for each in topics.specs())
    admin = cluster.admin()
    found = admin.list_topics(timeout=10).topics
    replicas = {len(each.replicas) for name in made for each in found[name].partitions.values()}
    assert replicas == {3}
    assert {_setting(admin, name, "min.insync.replicas") for name in made} == {"2"}


def test_with_two_of_three_brokers_gone_nothing_is_acknowledged_until_they_are_back(
    cluster: KafkaCluster, bus: KafkaBus, topic_prefix: str
) -> None:
    topics = Topics(topic_prefix, 1, 1)
    bus.ensure(topics.specs(), create=True)
    _publish(bus, topics.events, b"before")
    survivor = cluster.leader(topics.events, 0)
    gone = [each for each in cluster.brokers if each is not survivor]

    for broker in gone:
        broker.kill()
    with pytest.raises(BusUnreachable):
        _publish(bus, topics.events, b"not acknowledged")
    cluster.restart(gone)
    eventually(lambda: _publish(bus, topics.events, b"after"), 60, "it takes nothing any more")

    read = _values(bus, TopicPartition(topics.events, 0))
    # What was not acknowledged may stand there all the same.
    assert [each for each in read if each != b"not acknowledged"] == [b"before", b"after"]


@pytest.mark.s3
def test_a_broker_that_dies_in_the_middle_loses_and_doubles_nothing(
    cluster: KafkaCluster,
    s3_server: S3Endpoint,
    s3_bucket: str,
    topic_prefix: str,
    tmp_path: Path,
) -> None:
    installation = on_kafka_and_s3(tmp_path, cluster, s3_server, s3_bucket, topic_prefix)
    history = installation.history
    with installation.running() as services:
        for flow in ("load.py", "follow.py"):
            services.flow(FLOWS / flow, "--production", "deploy")
        for each in ("trigger-service", "runner") * 2:
            services.start(each)

        acknowledged = _publish_while_one_dies(installation, cluster)
        eventually(
            lambda: len(history.completions()) == 2 * EVENTS,
            timeout=120,
            message=f"not every run has ended: {services.logs()}",
        )

    stands = {
        f"{topic_prefix}events/{each.partition}/{each.offset}": each.value.get("id")
        for each in history.log.read("events")
    }
    assert {offset: stands.get(offset) for offset in acknowledged} == acknowledged
    causes = [cause for each in history.requests("Load") for cause in history.causes(each)]
    assert Counter(cause["event_id"] for cause in causes) == Counter(acknowledged.values())
    assert len(history.requests("Follow")) == EVENTS
    history.check_ends()
    history.check_order()
    history.check_nothing_given_up()
    assert set(history.ended().values()) == {"succeeded"}


def _publish_while_one_dies(installation: Installation, cluster: KafkaCluster) -> dict[str, str]:
    """Offset → id of each event, in the order in which they were acknowledged."""
    acknowledged: dict[str, str] = {}
    with installation.connected() as world:
        home = partition_of(b"default/prod", world.topics.event_partitions)
        dying = cluster.leader(world.topics.events, home)
        for number in range(EVENTS):
            if number == KILL_AT:
                dying.kill()
            if number == RESTART_AT:
                cluster.restart([dying])
            event = Event("landed", {"number": number}, project="default", branch="prod")
            published = eventually(partial(_acknowledged, event), 60)
            assert published is not None
            acknowledged[str(published.offset)] = published.id
    return acknowledged


def _acknowledged(event: Event) -> Published | None:
    """An event that is not acknowledged is published again: the same one, whatever became of the
    first attempt."""
    with suppress(BusUnreachable):
        return event.publish()
    return None


def _publish(bus: KafkaBus, topic: str, value: bytes) -> bool:
    bus.publish([NewRecord(topic, b"key", value)])
    return True


def _values(bus: KafkaBus, partition: TopicPartition) -> list[bytes | None]:
    with closing(bus.reader({partition: 0})) as reader:
        read: list[bytes | None] = []
        while True:
            poll = reader.poll(timedelta(seconds=1))
            read += [each.value for each in poll.records.get(partition, ())]
            if partition in poll.ended:
                return read


def _setting(admin: AdminClient, topic: str, key: str) -> str:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (answer,) = admin.describe_configs([resource]).values()
    return str(answer.result(timeout=10)[key].value)
