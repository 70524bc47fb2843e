"""The S3 data tool in a process that is connected to a store on the test server.

Import the fixtures that a module uses by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventflow import S3, app, context
from eventflow.settings import Settings, StoreSettings
from tests.servers.s3 import S3Endpoint

__all__ = ["root", "s3", "store"]


@pytest.fixture
def store(
    s3_server: S3Endpoint, s3_bucket: str, s3_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> StoreSettings:
    """A store in the bucket of the session, with what opens it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    return StoreSettings(
        url=f"s3://{s3_bucket}/{s3_prefix}store",
        endpoint_url=s3_server.endpoint_url,
        region=s3_server.region,
    )


@pytest.fixture
def root(tmp_path: Path, store: StoreSettings, s3_bucket: str, s3_prefix: str) -> Iterator[str]:
    """A prefix of this test's own, in a process that is connected."""
    world = app.connect(Settings(home=tmp_path / "home", store=store))
    with context.using(world):
        yield f"s3://{s3_bucket}/{s3_prefix}data"


@pytest.fixture
def s3(root: str, tmp_path: Path) -> Iterator[S3]:
    with S3(s3root=root, tmproot=str(tmp_path)) as opened:
        yield opened
