"""What is special to the bus on Kafka; what both backends promise is in `tests/contract`."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from structlog.testing import capture_logs

from eventflow.bus.kafka import KafkaBus
from eventflow.bus.kafka.assignment import KafkaAssignment
from eventflow.bus.kafka.consumer import is_fence
from eventflow.bus.reading import read_to_end
from eventflow.errors import BusBusy, Fenced, InvalidSettings, RecordTooLarge, TopicMismatch
from eventflow.model.log import Cleanup, TopicPartition
from eventflow.settings import KafkaSettings
from tests.contract.buses import (
    LIMIT_BYTES,
    SESSION,
    SHORT,
    Backend,
    Member,
    committed,
    make_topic,
    open_transaction,
    owns,
    record,
    spec,
    unique,
    until,
    write,
)
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.kafka import KafkaEndpoint

pytestmark = pytest.mark.kafka
TIMEOUT = timedelta(seconds=10)
VERDICTS = ("open", "committed", "Fenced")  # what a zombie says


@pytest.fixture
def bus(kafka_server: KafkaEndpoint) -> Iterator[KafkaBus]:
    with closing(_connect(kafka_server)) as connected:
        yield connected


def _connect(server: KafkaEndpoint) -> KafkaBus:
    connected = Backend("kafka", server.bootstrap_servers).connect()
    assert isinstance(connected, KafkaBus)
    return connected


# ── topics ───────────────────────────────────────────────────────────────────
def _configs(server: KafkaEndpoint, topic: str) -> dict[str, str]:
    resource, admin = ConfigResource(ResourceType.TOPIC, topic), server.admin()
    (future,) = admin.describe_configs([resource]).values()
    return {key: entry.value for key, entry in future.result(10).items()}


def _alter(server: KafkaEndpoint, topic: str, key: str, value: str) -> None:
    change = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    admin = server.admin()
    (future,) = admin.incremental_alter_configs([resource]).values()
    future.result(10)
    eventually(lambda: _configs(server, topic)[key] == value)


def _delete(server: KafkaEndpoint, topic: str) -> None:
    admin = server.admin()
    (future,) = admin.delete_topics([topic]).values()
    future.result(10)


def test_a_topic_is_made_as_the_protocol_says(bus: KafkaBus, kafka_server: KafkaEndpoint) -> None:
    log = spec(3)
    table = replace(spec(1, Cleanup.COMPACT), config={"segment.ms": "3600000"})

    bus.ensure([log, table], create=True)

    of_log, of_table = (_configs(kafka_server, each.name) for each in (log, table))
    assert of_log["message.timestamp.type"] == of_table["message.timestamp.type"] == "LogAppendTime"
    assert (of_log["cleanup.policy"], of_table["cleanup.policy"]) == ("delete", "compact")
    assert (of_log["retention.ms"], of_table["retention.ms"]) == ("86400000", "-1")
    assert of_log["max.message.bytes"] == str(log.max_record_bytes)
    assert of_table["segment.ms"] == "3600000"


def test_a_topic_with_the_times_of_its_producers_is_refused_with_the_way_to_mend_it(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    wanted = spec()
    bus.ensure([wanted], create=True)
    _alter(kafka_server, wanted.name, "message.timestamp.type", "CreateTime")

    with pytest.raises(TopicMismatch, match=r"kafka-configs\.sh.*timestamp\.type=LogAppendTime"):
        bus.ensure([wanted], create=True)


def test_a_topic_that_keeps_and_takes_more_than_asked_for_is_fine(bus: KafkaBus) -> None:
    there = spec()
    bus.ensure([replace(there, retention=None)], create=True)
    less = replace(there, max_record_bytes=1000, retention=timedelta(hours=1))

    assert list(bus.ensure([less], create=False)) == []


def test_services_that_start_together_make_each_topic_once(kafka_server: KafkaEndpoint) -> None:
    wanted = [spec(2) for _ in range(5)]
    made: list[str] = []

    def start() -> None:
        with closing(_connect(kafka_server)) as mine:
            made.extend(mine.ensure(wanted, create=True))

    starting = [threading.Thread(target=start) for _ in range(4)]
    for thread in starting:
        thread.start()
    for thread in starting:
        thread.join()

    assert sorted(made) == sorted(each.name for each in wanted)


def test_a_topic_that_cannot_be_made_says_why(bus: KafkaBus) -> None:
    with pytest.raises(TopicMismatch, match="no-such-setting"):
        bus.ensure([replace(spec(), config={"no-such-setting": "1"})], create=True)


def test_what_one_replica_acknowledges_is_warned_about(bus: KafkaBus) -> None:
    wanted = spec()

    with capture_logs() as logs:
        bus.ensure([wanted], create=True)

    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["topics"] for entry in warnings] == [[wanted.name]]


def test_topics_of_different_counts_are_not_consumed_together(bus: KafkaBus) -> None:
    topics = [make_topic(bus, 2), make_topic(bus, 3)]

    with pytest.raises(TopicMismatch, match=r"has 2.*has 3"):
        bus.consumer(unique("group"), topics, transactional_id=unique("tx"))


@pytest.mark.parametrize("name", ["a missing topic", "a missing partition"])
def test_what_is_not_there_is_named_at_once(bus: KafkaBus, name: str) -> None:
    topic = unique("missing") if name == "a missing topic" else make_topic(bus)
    at = TopicPartition(topic, 5)

    for call in (
        lambda: bus.high_watermark(at),
        lambda: bus.reader({at: 0}),
        lambda: bus.publish([record(topic, "v", partition=5)]),
    ):
        with pytest.raises(TopicMismatch, match=topic):
            call()


def test_a_setting_that_the_client_does_not_know_is_named(kafka_server: KafkaEndpoint) -> None:
    settings = KafkaSettings(
        bootstrap_servers=kafka_server.bootstrap_servers, config={"no.such.setting": 1}
    )

    with pytest.raises(InvalidSettings, match=r"no\.such\.setting"):
        KafkaBus(settings).topic("any")


# ── the fence ────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("when", ["at-once", "rejoined"])
def test_a_process_stopped_past_its_session_commits_nothing_when_it_goes_on(
    bus: KafkaBus, kafka_server: KafkaEndpoint, when: str
) -> None:
    source, target, group = make_topic(bus, 2), make_topic(bus, 2), unique("group")
    arguments = [kafka_server.bootstrap_servers, group, source, target, when]
    command = [sys.executable, "-m", "tests.integration.kafka_zombie", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with (
            said.open("w") as output,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, text=True) as zombie,
        ):
            try:
                eventually(lambda: "open\n" in said.read_text())
                zombie.send_signal(signal.SIGSTOP)
                successor = Member(bus, group, [source])
                until(owns(successor, 0, 1), successor)
                for assignment in successor.owned.values():
                    write(assignment, target, "of the successor", {source: 1})
                zombie.send_signal(signal.SIGCONT)
                assert zombie.stdin is not None
                zombie.stdin.write("go on\n")
                zombie.stdin.flush()
                until(lambda: zombie.poll() is not None, successor)
            finally:
                zombie.kill()
        verdicts = [line for line in said.read_text().split("\n") if line in VERDICTS]

    assert verdicts == ["open", "Fenced", "Fenced"]
    assert [committed(bus, target, n) for n in (0, 1)] == [["of the successor"]] * 2


def test_what_is_captured_without_a_membership_is_no_fence(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    member = Member(bus, unique("group"), [make_topic(bus)])
    until(owns(member, 0), member)
    outsider = Consumer(
        {"bootstrap.servers": kafka_server.bootstrap_servers, "group.id": unique("group")}
    )

    of_a_member, of_nobody = member.owned[0], outsider.consumer_group_metadata()

    assert isinstance(of_a_member, KafkaAssignment)
    assert is_fence(cast("bytes", of_a_member.group))
    assert not is_fence(of_nobody)
    outsider.close()


def test_a_member_that_fell_out_before_it_heard_of_its_partitions_gets_them_anew(
    bus: KafkaBus,
) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    slow = Member(bus, group, [topic])
    bystander = Member(bus, unique("group"), [topic])
    until(lambda: bystander.ended, bystander)

    # The group assigns the partition, and takes it away again, while `slow` does not poll.
    bystander.poll(SESSION * 2)
    first = eventually(lambda: slow.consumer.poll(SHORT).assigned)
    write(first[0], target, "v", {topic: 0})

    assert committed(bus, target) == ["v"]


def test_an_owner_whose_id_was_taken_takes_it_back(bus: KafkaBus) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    member = Member(bus, group, [topic])
    until(owns(member, 0), member)
    begun = open_transaction(member.owned[0], target, "before")

    bus.writer(f"tx-{group}.0", timeout=TIMEOUT)
    with pytest.raises(Fenced):
        begun.commit({topic: 1}).result(20)
    assert member.owned[0].is_live
    with pytest.raises(Fenced):
        member.owned[0].begin()
    write(member.owned[0], target, "after", {topic: 1})

    assert committed(bus, target) == ["after"]


def test_the_group_hears_how_far_was_consumed_while_the_owner_polls(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic, target, group = make_topic(bus), make_topic(bus), unique("group")
    member = Member(bus, group, [topic])
    until(owns(member, 0), member)

    write(member.owned[0], target, "with the proof", {topic: 1})
    of_the_first = _told(kafka_server, group, topic)
    for consumed in (2, 3):
        write(member.owned[0], target, "by the epoch alone", {topic: consumed})
    of_the_others = _told(kafka_server, group, topic)

    assert (of_the_first, of_the_others) == (1, 1)
    until(lambda: _told(kafka_server, group, topic) == 3, member)


def _told(server: KafkaEndpoint, group: str, topic: str) -> int:
    """The committed offset that other people's tools see."""
    asked, admin = ConsumerGroupTopicPartitions(group, [Place(topic, 0)]), server.admin()
    (future,) = admin.list_consumer_group_offsets([asked], require_stable=True).values()
    (place,) = future.result(10).topic_partitions
    return int(place.offset)


def test_an_owner_goes_on_after_the_broker_refused_a_record(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic, target = make_topic(bus), make_topic(bus)
    member = Member(bus, unique("group"), [topic])
    until(owns(member, 0), member)
    write(member.owned[0], target, "before", {topic: 0})
    _alter(kafka_server, target, "max.message.bytes", "1000")

    refused = member.owned[0].begin()
    refused.append(record(target, "v" * 5000))
    with pytest.raises(RecordTooLarge):
        refused.commit({topic: 1}).result(20)
    for n in range(3):
        transaction = member.owned[0].begin()
        transaction.append(record(target, f"after {n}"))
        transaction.commit({topic: 1}).result(20)

    assert committed(bus, target) == ["before", "after 0", "after 1", "after 2"]


def test_a_limit_that_was_raised_holds_for_the_next_transaction(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic = make_topic(bus)
    writer = bus.writer(unique("tx"), timeout=TIMEOUT)
    large = record(topic, "v" * LIMIT_BYTES)
    refused = writer.begin()
    with pytest.raises(RecordTooLarge):
        refused.append(large)
    refused.abort()

    _alter(kafka_server, topic, "max.message.bytes", str(2 * LIMIT_BYTES))
    transaction = writer.begin()
    transaction.append(large)
    transaction.commit().result(20)

    assert committed(bus, topic) == ["v" * LIMIT_BYTES]


def test_one_transaction_at_a_time(bus: KafkaBus) -> None:
    writer = bus.writer(unique("tx"), timeout=TIMEOUT)
    transaction = writer.begin()

    with pytest.raises(BusBusy):
        writer.begin()
    transaction.commit().result(20)
    with pytest.raises(BusBusy):
        transaction.commit().result(20)


# ── reading ──────────────────────────────────────────────────────────────────
def test_nothing_stale_comes_after_a_seek_in_full_flow(bus: KafkaBus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, f"{n}") for n in range(20_000)])
    member = Member(bus, unique("group"), [topic])
    until(owns(member, 0), member)
    chance = random.Random(1)

    for _ in range(60):
        start = chance.randrange(19_000)
        member.owned[0].seek(topic, start)
        offsets: list[int] = []
        while len(offsets) < 700:
            for records in member.consumer.poll(SHORT).records.values():
                offsets += [entry.offset for entry in records]
        assert offsets == list(range(start, start + len(offsets)))


def test_a_resumed_partition_delivers_at_once(bus: KafkaBus) -> None:
    topic = make_topic(bus)
    bus.publish([record(topic, f"v{n}") for n in range(10)])
    member = Member(bus, unique("group"), [topic], paused=True)
    until(owns(member, 0), member)
    waited = 0.0

    for n in range(8):
        member.poll(SHORT)  # the client's fetching thread goes to sleep, for up to a second
        member.owned[0].seek(topic, n)
        resumed_at = time.monotonic()
        member.owned[0].resume(topic)
        until(lambda: len(member.records) > 0, member)
        waited += time.monotonic() - resumed_at
        member.owned[0].pause(topic)
        member.records.clear()

    assert waited < 4


def test_the_lag_of_a_paused_partition_grows_with_its_backlog(bus: KafkaBus) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    member = Member(bus, unique("group"), [topic])
    until(lambda: at in member.ended, member)

    member.owned[0].pause(topic)
    bus.publish([record(topic, "v") for _ in range(7)])

    until(lambda: member.consumer.lag[at] == 7, member)


def test_what_retention_deleted_is_skipped_and_can_be_asked_for(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic = make_topic(bus)
    at = TopicPartition(topic, 0)
    bus.publish([record(topic, f"v{n}") for n in range(10)])
    admin = kafka_server.admin()
    (deleted,) = admin.delete_records([Place(topic, 0, 6)]).values()
    deleted.result(10)

    first_kept = eventually(lambda: bus.low_watermark(at))
    read = [entry.offset for entry in read_to_end(bus, at)]

    assert first_kept == 6
    assert read == [6, 7, 8, 9]


def test_a_deleted_topic_ends_its_consumer_with_its_name(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic = make_topic(bus)
    member = Member(bus, unique("group"), [topic])
    until(owns(member, 0), member)
    _delete(kafka_server, topic)

    with pytest.raises(TopicMismatch, match=topic):
        _poll_on(member)


def _poll_on(member: Member) -> None:
    for _ in range(300):
        member.poll()


def test_a_topic_made_again_has_another_id(bus: KafkaBus, kafka_server: KafkaEndpoint) -> None:
    wanted = spec()
    bus.ensure([wanted], create=True)
    before = bus.topic(wanted.name).topic_id
    _delete(kafka_server, wanted.name)

    eventually(lambda: list(bus.ensure([wanted], create=True)) == [wanted.name])

    assert bus.topic(wanted.name).topic_id != before


def test_the_times_of_a_foreign_topic_are_read_too(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic, admin = unique("foreign"), kafka_server.admin()
    (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    made.result(10)
    eventually(lambda: bus.topic(topic))

    bus.publish([record(topic, "v")])

    (read,) = read_to_end(bus, TopicPartition(topic, 0))
    assert read.appended_at.year > 2020


# ── processes ────────────────────────────────────────────────────────────────
def test_a_forked_child_publishes_and_both_end_in_peace(
    bus: KafkaBus, kafka_server: KafkaEndpoint
) -> None:
    topic = make_topic(bus)
    arguments = [kafka_server.bootstrap_servers, topic]

    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.kafka_fork", *arguments],
        check=False,
        timeout=60,
    )

    assert done.returncode == 0
    assert sorted(committed(bus, topic)) == ["before", "child", "parent"]
