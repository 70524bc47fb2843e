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
    yield from _served(_stage(tmp_path_factory.mktemp("matrix-deployer"), DeployerStage))


@pytest.fixture(scope="session")
def s3_stage(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Endpoint, s3_bucket: str
) -> Iterator[Stage]:
    """On an S3 server."""
    yield from _on_s3(tmp_path_factory.mktemp("matrix-s3"), Stage, s3_server, s3_bucket)


@pytest.fixture(scope="session")
def runner_on_s3_stage(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Endpoint, s3_bucket: str
) -> Iterator[Stage]:
    """On an S3 server, by `Runner`."""
    folder = tmp_path_factory.mktemp("matrix-runner-s3")
    yield from _on_s3(folder, RunnerStage, s3_server, s3_bucket)


@pytest.fixture(scope="session")
def deployer_on_s3_stage(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Endpoint, s3_bucket: str
) -> Iterator[Stage]:
    """On an S3 server and the embedded bus, by `Deployer`."""
    folder = tmp_path_factory.mktemp("matrix-deployer-s3")
    yield from _served(_on_s3(folder, DeployerStage, s3_server, s3_bucket))


def _served(stages: Iterator[Stage]) -> Iterator[Stage]:
    for stage in stages:
        services = Cluster(stage.env, stage.folder)
        services.start("up")
        yield stage
        services.stop()


def _on_s3(folder: Path, kind: type[Stage], server: S3Endpoint, bucket: str) -> Iterator[Stage]:
    url = f"s3://{bucket}/matrix-{secrets.token_hex(4)}"
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    store = StoreSettings(url=url, endpoint_url=server.endpoint_url, region=server.region)
    env = {
        "EVENTFLOW_STORE__URL": url,
        "EVENTFLOW_STORE__ENDPOINT_URL": server.endpoint_url,
        "EVENTFLOW_STORE__REGION": server.region,
        **keys,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        yield from _stage(folder, kind, store, env)


@pytest.fixture(params=["local"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage of the test, whose world the client looks at."""
    found: Stage = request.getfixturevalue(f"{request.param}_stage")
    with context.using(found.world):
        yield found
