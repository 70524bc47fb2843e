"""The stores that the contract runs on, each with what a test may do behind its back.

Import the fixtures that a module uses by name. Every test has a store of its own: a new folder,
or a new prefix in the bucket of the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Protocol

import boto3
import pytest

from eventflow.settings import StoreSettings
from eventflow.store.local import LocalStore
from eventflow.store.port import Store
from eventflow.store.s3 import S3Store
from tests.servers.s3 import S3Endpoint
from tests.simulation.simulated_store import Bucket, SimulatedStore
from tests.simulation.universe import Universe

__all__ = ["LocalPlace", "S3Place", "SimulatedPlace", "StorePlace", "place", "store"]


class StorePlace(Protocol):
    """Where a store is. When `is_shared`, it can be sent to another process."""

    @property
    def is_shared(self) -> bool:
        """Whether another process of the system sees what this one puts."""

    def open(self) -> Store:
        """Another store object on the same content."""

    def elsewhere(self, name: str) -> Store:
        """A store beside this one that shares nothing with it."""

    def without_bucket(self) -> Store:
        """One whose bucket, or folder, does not exist."""

    def overwrite(self, key: str, data: bytes) -> None:
        """Change an object, which no store does."""


@dataclass(frozen=True)
class LocalPlace:
    folder: Path
    is_shared: bool = True

    def open(self) -> Store:
        return LocalStore(self.folder)

    def elsewhere(self, name: str) -> Store:
        beside = self.folder.parent / name
        beside.mkdir()
        return LocalStore(beside)

    def without_bucket(self) -> Store:
        return LocalStore(self.folder / "missing")

    def overwrite(self, key: str, data: bytes) -> None:
        (self.folder / key).write_bytes(data)


@dataclass(frozen=True)
class S3Place:
    endpoint_url: str
    region: str
    bucket: str
    prefix: str
    is_shared: bool = True

    def open(self) -> Store:
        return self._at(f"s3://{self.bucket}/{self.prefix}")

    def elsewhere(self, name: str) -> Store:
        return self._at(f"s3://{self.bucket}/beside-{self.prefix}{name}")

    def without_bucket(self) -> Store:
        return self._at("s3://eventflow-no-such-bucket/x")

    def overwrite(self, key: str, data: bytes) -> None:
        client = boto3.client("s3", endpoint_url=self.endpoint_url, region_name=self.region)
        client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=data)

    def _at(self, url: str) -> Store:
        return S3Store(StoreSettings(url=url, endpoint_url=self.endpoint_url, region=self.region))


def _bucket() -> Bucket:
    return Bucket(lambda: datetime.now(UTC), count(1).__next__)


@dataclass(frozen=True)
class SimulatedPlace:
    bucket: Bucket = field(default_factory=_bucket)
    is_shared: bool = False

    def open(self) -> Store:
        return SimulatedStore(Universe.by(0, {}, None), self.bucket)

    def elsewhere(self, name: str) -> Store:  # noqa: ARG002 - every bucket is another place
        return SimulatedPlace().open()

    def without_bucket(self) -> Store:
        missing = _bucket()
        missing.is_there = False
        return SimulatedPlace(missing).open()

    def overwrite(self, key: str, data: bytes) -> None:
        self.bucket.put(key, data, 0)


@pytest.fixture(params=["local", "simulated", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """An empty place, on each backend."""
    if request.param == "simulated":
        return SimulatedPlace()
    if request.param == "local":
        folder = tmp_path / "store"
        folder.mkdir()
        return LocalPlace(folder)
    server: S3Endpoint = request.getfixturevalue("s3_server")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    bucket, prefix = request.getfixturevalue("s3_bucket"), request.getfixturevalue("s3_prefix")
    return S3Place(server.endpoint_url, server.region, bucket, prefix)


@pytest.fixture
def store(place: StorePlace) -> Store:
    """An empty store, on each backend."""
    return place.open()
