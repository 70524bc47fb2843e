"""The count of aborted transactions is that of the log: as many as were aborted, none committed."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from tests.chaos.markers import aborted_transactions
from tests.servers.kafka import KafkaServer
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.kafka]

TOPIC, PARTITIONS = "counted.here", 3


def test_aborted_transactions_are_counted_once_over_all_partitions_that_they_wrote_to(
    own_kafka_server: KafkaServer,
) -> None:
    topic = NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)
    admin = own_kafka_server.admin()  # kept: what it has promised ends with it
    admin.create_topics([topic])[TOPIC].result(30)

    for number in range(5):
        _transaction(own_kafka_server, f"writer-{number}", is_aborted=number < 3)

    assert own_kafka_server.folder is not None
    data = own_kafka_server.folder / "data"
    eventually(lambda: len(aborted_transactions(data, "counted.")) == 3)
    assert aborted_transactions(data, "another.") == set()


def _transaction(server: KafkaServer, name: str, *, is_aborted: bool) -> None:
    producer = Producer({"bootstrap.servers": server.bootstrap_servers, "transactional.id": name})
    eventually(lambda: _has_begun(producer), 90)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        producer.produce(TOPIC, b"value", partition=partition)
    producer.flush(30)
    if is_aborted:
        producer.abort_transaction(30)
    else:
        producer.commit_transaction(30)


def _has_begun(producer: Producer) -> bool:
    """The first transaction of a new broker waits for topics that it has to make."""
    producer.init_transactions(10)
    return True
