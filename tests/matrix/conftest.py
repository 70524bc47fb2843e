"""The stages of the matrix, one a store, which all tests of a session share."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow import app, context
from eventflow.settings import Settings, StoreSettings
from tests.matrix.play import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Endpoint


def _stage(folder: Path, store: StoreSettings, **env: str) -> Iterator[Stage]:
    home = folder / "home"
    (home / "store").mkdir(parents=True)
    env = {"EVENTFLOW_HOME": str(home), "EVENTFLOW_USER": "ada", **env}
    world = app.connect(Settings(home=home, store=store))
    yield Stage(folder, env, world)
    world.close()


@pytest.fixture(scope="session")
def local_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a folder."""
    yield from _stage(tmp_path_factory.mktemp("matrix"), StoreSettings())


@pytest.fixture(scope="session")
def s3_stage(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Endpoint, s3_bucket: str
) -> Iterator[Stage]:
    """On an S3 server."""
    url = f"s3://{s3_bucket}/matrix-{secrets.token_hex(4)}"
    keys = {
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
    }
    store = StoreSettings(url=url, endpoint_url=s3_server.endpoint_url, region=s3_server.region)
    env = {
        "EVENTFLOW_STORE__URL": url,
        "EVENTFLOW_STORE__ENDPOINT_URL": s3_server.endpoint_url,
        "EVENTFLOW_STORE__REGION": s3_server.region,
        **keys,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        yield from _stage(tmp_path_factory.mktemp("matrix-s3"), store, **env)


@pytest.fixture(params=["local"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage of the test, whose world the client looks at."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    with context.using(found.world):
        yield found
