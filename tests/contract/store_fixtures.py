"""The stores that the contract runs on, each with what a test may do behind its back.

Import the fixtures that a module uses by name. Every test has a store of its own: a new folder,
or a new prefix in the bucket of the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import boto3
import pytest

from eventflow.settings import StoreSettings
from eventflow.store.local import LocalStore
from eventflow.store.port import Store
from eventflow.store.s3 import S3Store
from tests.servers.s3 import S3Endpoint

__all__ = ["LocalPlace", "S3Place", "StorePlace", "place", "store"]


class StorePlace(Protocol):
    """Where a store is; it can be sent to another process."""

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


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """An empty place, on each backend."""
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
