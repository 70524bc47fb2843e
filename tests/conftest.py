"""Fixtures that every folder of tests may use: one real server of each kind a test run.

Tests share the servers and keep apart by names: `topic_prefix` and `s3_prefix` are new for each
test. A test that kills, pauses or restarts a server takes one of its own (`own_kafka_server`,
`own_s3_server`, `own_versioned_s3_server`). A server that cannot be had skips the test on a laptop
and fails it where CI is set.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest
import xdist
from hypothesis import settings

from eventflow.client import scope
from tests.servers.finding import (
    ServerMissing,
    found_kafka,
    found_s3,
    local_kafka,
    local_kafka_cluster,
    local_s3,
    started,
)
from tests.servers.kafka import KafkaEndpoint, KafkaServer
from tests.servers.kafka_cluster import KafkaCluster
from tests.servers.s3 import S3Endpoint, S3Server
from tests.servers.sharing import shared_servers

T = TypeVar("T")

# How fast an example is says nothing: machines are shared.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """A worker of several (`-n`) is started as the program that started it: what a program's own
    code is, follows from its path."""
    if hasattr(config, "workerinput"):
        sys.argv[:] = config.workerinput["mainargv"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of several processes, the one that starts the others has their servers."""
    if xdist.is_xdist_controller(session):
        stack = ExitStack()
        session.config.add_cleanup(stack.close)
        stack.enter_context(shared_servers())


def _enter_or_skip(stack: ExitStack, find: Callable[[], AbstractContextManager[T]]) -> T:
    try:
        return stack.enter_context(find())
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"in CI every server must be there; {missing}")
        pytest.skip(str(missing))


@pytest.fixture(scope="session", autouse=True)
def _leftovers_go_with_the_test_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What killed processes leave in the temporary folder lies among the folders of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("left")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(autouse=True)
def _nobody_has_chosen_a_namespace() -> Iterator[None]:
    """What a test chose for this process does not last."""
    yield
    scope._scope.chosen = scope._Unset.UNSET


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaEndpoint]:
    """A real broker."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, found_kafka)


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[KafkaCluster]:
    """Three brokers. Who kills one brings it back."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, lambda: started(local_kafka_cluster()))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Endpoint]:
    """A real S3 server."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, found_s3)


@pytest.fixture
def own_kafka_server() -> Iterator[KafkaServer]:
    """A local broker for one test, to kill, pause and restart."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, lambda: started(local_kafka()))


@pytest.fixture
def own_s3_server() -> Iterator[S3Server]:
    """A local S3 server for one test, to kill, pause and restart."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, lambda: started(local_s3()))


@pytest.fixture
def own_versioned_s3_server() -> Iterator[S3Server]:
    """The same, with a server that can keep every version of an object."""
    with ExitStack() as stack:
        yield _enter_or_skip(stack, lambda: started(local_s3(versioning=True)))


@pytest.fixture
def topic_prefix() -> str:
    """What the names of this test's topics and groups begin with: nobody else's do."""
    return f"t-{secrets.token_hex(4)}."


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Endpoint) -> str:
    """A bucket of this session; the tests in it keep apart by `s3_prefix`."""
    name = f"eventflow-test-{secrets.token_hex(4)}"
    s3_server.create_bucket(name)
    return name


@pytest.fixture
def s3_prefix() -> str:
    """What the keys of this test's objects begin with: nobody else's do."""
    return f"t-{secrets.token_hex(4)}/"
