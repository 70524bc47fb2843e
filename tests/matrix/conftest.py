"""The stages of the matrix, each with a store of its own, which all tests of a session share."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from eventflow import app, context
from eventflow.settings import Settings, StoreSettings
from tests.matrix.play import Stage
from tests.matrix.programs import DeployerStage, RunnerStage
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.servers.s3 import S3Endpoint


_HERE = StoreSettings()


def _stage(
    folder: Path,
    kind: type[Stage] = Stage,
    store: StoreSettings = _HERE,
    further: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Stage]:
    home = folder / "home"
    (home / "store").mkdir(parents=True)
    env = {"EVENTFLOW_HOME": str(home), "EVENTFLOW_USER": "ada", **further}
    world = app.connect(Settings(home=home, store=store))
    yield kind(folder, env, world)
    world.close()


@pytest.fixture(scope="session")
def local_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a folder."""
    yield from _stage(tmp_path_factory.mktemp("matrix"))


@pytest.fixture(scope="session")
def runner_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a folder, by `Runner`."""
    yield from _stage(tmp_path_factory.mktemp("matrix-runner"), RunnerStage)


@pytest.fixture(scope="session")
def deployer_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On a folder and the embedded bus, by `Deployer`; the services run beside it."""
    folder = tmp_path_factory.mktemp("matrix-deployer")
    for stage in _stage(folder, DeployerStage):
        services = Cluster(stage.env, folder)
        services.start("up")
        yield stage
        services.stop()


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
        yield from _stage(tmp_path_factory.mktemp("matrix-s3"), Stage, store, env)


@pytest.fixture(params=["local"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage of the test, whose world the client looks at."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    with context.using(found.world):
        yield found
