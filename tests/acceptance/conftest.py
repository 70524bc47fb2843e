"""eventflow as a user has it: with the default clocks, for all the tests of a module."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.installation import SHORT_CLOCKS, Installation, embedded, on_kafka_and_s3
from tests.support.cluster import Cluster


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.s3])],
)
def lasting_installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Both, one after the other. Its processes are killed after the last test of the module."""
    os.environ.pop("EVENTFLOW_HOME", None)
    made = _made(request, tmp_path_factory.mktemp(request.param))
    env = {name: value for name, value in made.cluster.env.items() if name not in SHORT_CLOCKS}
    cluster = Cluster(env, made.cluster.folder)
    yield replace(made, cluster=cluster)
    cluster.stop()


def _made(request: pytest.FixtureRequest, folder: Path) -> Installation:
    if request.param == "embedded":
        return embedded(folder)
    return on_kafka_and_s3(
        folder,
        request.getfixturevalue("kafka_server"),
        request.getfixturevalue("s3_server"),
        request.getfixturevalue("s3_bucket"),
        f"t-{secrets.token_hex(4)}.",
    )
