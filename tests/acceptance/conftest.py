"""eventflow as a user has it, for all the tests of a module."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.installation import Installation, embedded, on_kafka_and_s3


@pytest.fixture(
    scope="module",
    params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.s3])],
)
def lasting_installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Both, one after the other, with the module's `SETTINGS`; killed after its last test."""
    made = _made(request, tmp_path_factory.mktemp(request.param))
    yield made
    made.cluster.stop()


def _made(request: pytest.FixtureRequest, folder: Path) -> Installation:
    settings: dict[str, str] = getattr(request.module, "SETTINGS", {})
    if request.param == "embedded":
        return embedded(folder, **settings)
    return on_kafka_and_s3(
        folder,
        request.getfixturevalue("kafka_server"),
        request.getfixturevalue("s3_server"),
        request.getfixturevalue("s3_bucket"),
        f"t-{secrets.token_hex(4)}.",
        **settings,
    )
