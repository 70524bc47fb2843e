"""The bus on Kafka when the broker is not there, hangs, dies, comes back, or says no."""

from __future__ import annotations

import gc
import os
import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from eventflow.bus.kafka import KafkaBus
from eventflow.errors import BusBusy, BusForbidden, BusUnreachable, EventflowError
from eventflow.model.log import TopicPartition
from eventflow.settings import KafkaSettings
from tests.contract.buses import (
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
from tests.servers.finding import ServerMissing, local_kafka
from tests.servers.kafka import KafkaServer
from tests.servers.processes import free_port
from tests.servers.provision import kafka_folder
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE = timedelta(seconds=2)
AT = TopicPartition("any", 0)


def _connect(address: str, patience: timedelta = PATIENCE, **config: str) -> KafkaBus:
    return KafkaBus(
        KafkaSettings(
            bootstrap_servers=address,
            patience=patience,
            session=timedelta(seconds=6),
            heartbeat=timedelta(milliseconds=500),
            config=config,
        )
    )


# ── no broker ────────────────────────────────────────────────────────────────
CALLS: dict[str, Callable[[KafkaBus], object]] = {
    "ensure": lambda bus: bus.ensure([spec()], create=True),
    "topic": lambda bus: bus.topic("any"),
    "publish": lambda bus: bus.publish([record("any", "v")]),
    "writer": lambda bus: bus.writer("any", timeout=timedelta(seconds=3)),
    "reader": lambda bus: bus.reader({AT: 0}),
    "consumer": lambda bus: bus.consumer("any", ["any"], transactional_id="any"),
    "high_watermark": lambda bus: bus.high_watermark(AT),
    "low_watermark": lambda bus: bus.low_watermark(AT),
}


@pytest.mark.parametrize("name", CALLS)
def test_without_a_broker_every_call_ends_within_the_patience_and_names_the_address(
    name: str,
) -> None:
    address = f"127.0.0.1:{free_port()}"
    started_at = time.monotonic()

    with (
        closing(_connect(address, timedelta(seconds=1))) as bus,
        pytest.raises(BusUnreachable, match=address) as refused,
    ):
        CALLS[name](bus)

    assert "Connection refused" in str(refused.value)
    assert "EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS" in str(refused.value)
    assert time.monotonic() - started_at < 5


def test_a_closed_bus_has_let_its_client_go_although_its_errors_are_kept() -> None:
    before = _admin_clients()

    with (
        closing(_connect(f"127.0.0.1:{free_port()}", timedelta(seconds=1))) as bus,
        pytest.raises(BusUnreachable) as kept,
    ):
        bus.topic("any")

    assert kept.value.__traceback__ is not None
    assert _admin_clients() == before


def _admin_clients() -> list[int]:
    """Those that are left when nothing but garbage is gone."""
    gc.collect()
    return sorted(id(each) for each in gc.get_objects() if isinstance(each, AdminClient))


# ── a broker that hangs, or dies, and comes back ─────────────────────────────
class Outage:
    """A bus in full work on a broker that is about to be out."""

    def __init__(self, server: KafkaServer) -> None:
        self.bus = _connect(server.bootstrap_servers)
        self.source, self.target = make_topic(self.bus), make_topic(self.bus)
        self.at = TopicPartition(self.target, 0)
        self.member = Member(self.bus, unique("group"), [self.source])
        until(owns(self.member, 0), self.member)
        self._write_first()
        self.reader = self.bus.reader({self.at: 0})
        eventually(lambda: self.reader.poll(timedelta(seconds=1)).records)
        self.left_open = open_transaction(self.member.owned[0], self.target, "cut off")

    def _write_first(self) -> None:
        """The first transaction of a new broker takes seconds, for which nobody polls."""

        def first() -> bool:
            self.member.poll()
            write(self.member.owned[0], self.target, "before", {self.source: 0})
            return True

        eventually(first)

    def everything_fails(self) -> None:
        commit = self.left_open.commit({self.source: 1})
        # Which one depends on whether its record had been sent: the port has both.
        began_at = time.monotonic()
        with pytest.raises((BusUnreachable, BusBusy)):
            commit.result(20)
        assert time.monotonic() - began_at < 15
        for call in (
            lambda: self.bus.publish([record(self.source, "lost")]),
            lambda: self.bus.high_watermark(self.at),
            lambda: self.bus.writer(unique("tx"), timeout=PATIENCE),
            lambda: _poll_on(self.member.poll),
            lambda: _poll_on(lambda: self.reader.poll(timedelta(milliseconds=50))),
        ):
            began_at = time.monotonic()
            with pytest.raises(BusUnreachable):
                call()
            assert time.monotonic() - began_at < 15

    def everything_works(self) -> None:
        eventually(lambda: self.bus.publish([record(self.source, "after")]), 60)
        until(lambda: b"after" in [each.value for each in self.member.records], self.member)
        eventually(self._writes_again)
        assert "after" in committed(self.bus, self.target)
        assert committed(self.bus, self.target)[0] == "before"
        assert "cut off" not in committed(self.bus, self.target)
        eventually(lambda: self.reader.poll(timedelta(seconds=1)).records)

    def _writes_again(self) -> bool:
        self.member.poll()
        write(self.member.owned[0], self.target, "after", {self.source: 1})
        return True


def _poll_on(poll: Callable[[], object]) -> None:
    began_at = time.monotonic()
    while time.monotonic() - began_at < 15:
        poll()


def test_the_same_bus_fails_while_the_broker_hangs_and_works_when_it_goes_on(
    own_kafka_server: KafkaServer,
) -> None:
    outage = Outage(own_kafka_server)

    own_kafka_server.pause()
    outage.everything_fails()
    own_kafka_server.resume()

    outage.everything_works()
    outage.bus.close()


def test_the_same_bus_fails_while_the_broker_is_dead_and_works_when_it_is_back(
    own_kafka_server: KafkaServer,
) -> None:
    outage = Outage(own_kafka_server)

    own_kafka_server.kill()
    outage.everything_fails()
    own_kafka_server.restart()

    outage.everything_works()
    outage.bus.close()


def test_a_bus_in_full_work_is_closed_soon_although_its_broker_is_dead(
    own_kafka_server: KafkaServer,
) -> None:
    outage = Outage(own_kafka_server)
    own_kafka_server.kill()
    began_at = time.monotonic()

    outage.bus.close()

    assert time.monotonic() - began_at < 5


@pytest.mark.timeout(60)
def test_members_are_closed_although_the_answer_to_a_rebalance_has_nowhere_to_go(
    own_kafka_server: KafkaServer,
) -> None:
    """They were given partitions and have not polled since; then the broker died."""
    bus = _connect(own_kafka_server.bootstrap_servers)
    topic, groups = make_topic(bus), [unique("group") for _ in range(3)]
    members = [bus.consumer(group, [topic], transactional_id=group) for group in groups]
    eventually(lambda: all(_is_stable(own_kafka_server, group) for group in groups))
    own_kafka_server.kill()
    began_at = time.monotonic()

    bus.close()

    assert all(member.is_closed for member in members)
    assert time.monotonic() - began_at < 10


def _is_stable(server: KafkaServer, group: str) -> bool:
    """Whether the partitions are given out."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap_servers, "log_level": 0})
    state = admin.describe_consumer_groups([group])[group].result(10).state
    return state is ConsumerGroupState.STABLE


# ── a broker that says no ────────────────────────────────────────────────────
class PasswordServer(KafkaServer):
    """SASL/PLAIN for `admin`, who may do everything, and `guest`, who may do nothing."""

    PASSWORDS = ("admin-secret", "guest-secret")

    def __init__(self) -> None:
        admin, guest = self.PASSWORDS
        super().__init__(
            kafka_folder(),
            {
                "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_PLAINTEXT",
                "sasl.enabled.mechanisms": "PLAIN",
                "sasl.mechanism.inter.broker.protocol": "PLAIN",
                "listener.name.plaintext.plain.sasl.jaas.config": (
                    "org.apache.kafka.common.security.plain.PlainLoginModule required"
                    f' username="admin" password="{admin}"'
                    f' user_admin="{admin}" user_guest="{guest}";'
                ),
                "authorizer.class.name": (
                    "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
                ),
                "super.users": "User:admin;User:ANONYMOUS",
            },
        )

    def admin(self) -> AdminClient:
        """As `admin`."""
        return AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "log_level": 0,
                **self.login("admin", self.PASSWORDS[0]),
            }
        )

    @staticmethod
    def login(user: str, password: str) -> dict[str, str]:
        """Settings of a client."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": password,
        }


@pytest.fixture(scope="module")
def password_server() -> Iterator[PasswordServer]:
    try:
        local_kafka()
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    server = PasswordServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _login(server: PasswordServer, user: str, password: str) -> KafkaBus:
    return _connect(server.bootstrap_servers, timedelta(seconds=4), **server.login(user, password))


def test_settings_of_the_client_are_passed_through(password_server: PasswordServer) -> None:
    with closing(_login(password_server, "admin", "admin-secret")) as bus:
        topic, target = make_topic(bus), make_topic(bus)
        bus.publish([record(topic, "v")])
        member = Member(bus, unique("group"), [topic])
        until(lambda: member.records, member)
        eventually(lambda: _written(member, target))

        assert committed(bus, topic) == ["v"]


def _written(member: Member, target: str) -> bool:
    member.poll()
    write(member.owned[0], target, "v", {member.topics[0]: 1})
    return True


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_password_is_told_as_such(password_server: PasswordServer, name: str) -> None:
    with (
        closing(_login(password_server, "admin", "wrong")) as bus,
        pytest.raises(BusForbidden, match="credentials"),
    ):
        CALLS[name](bus)


@pytest.mark.parametrize("name", CALLS)
def test_what_a_principal_may_not_do_is_told_as_such(
    password_server: PasswordServer, name: str
) -> None:
    with closing(_login(password_server, "admin", "admin-secret")) as bus:
        eventually(lambda: _made(bus, AT.topic))

    with (
        closing(_login(password_server, "guest", "guest-secret")) as bus,
        pytest.raises(BusForbidden, match="ACL"),
    ):
        CALLS[name](bus)


def test_who_may_read_a_topic_needs_no_group_for_it(password_server: PasswordServer) -> None:
    with closing(_login(password_server, "admin", "admin-secret")) as bus:
        topic = make_topic(bus)
        bus.publish([record(topic, "v")])
    _allow_guest_to_read(password_server, topic)

    with closing(_login(password_server, "guest", "guest-secret")) as bus:
        read = eventually(lambda: committed(bus, topic))

    assert read == ["v"]


def _allow_guest_to_read(server: PasswordServer, topic: str) -> None:
    rights = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            "User:guest",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )
        for operation in (AclOperation.READ, AclOperation.DESCRIBE)
    ]
    admin = server.admin()
    for future in admin.create_acls(rights).values():
        future.result(10)


def _made(bus: KafkaBus, topic: str) -> bool:
    try:
        bus.ensure([spec(name=topic)], create=True)
    except EventflowError:
        return False
    return True
