"""A large array of numpy as an artifact, saved and loaded, on a local store and on S3.

The array is noise, so that nothing can be compressed, and another one each time, so that nothing
stands already. The ceilings have the same bytes and make the same promises: the SHA-256 of what is
written, and of what is read again; durable on disk. They write to one file with one fsync, or use
the transfer manager of boto3, with the copy to the file object that it takes. Both go in turns,
each of them first every other time.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np

from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.place import exported, s3_settings, temporary_folder
from eventflow import app
from eventflow.settings import Settings
from eventflow.store.artifacts import load_value, save_values
from eventflow.store.layout import blob_key
from tests.servers.finding import found_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from eventflow.store.artifacts import ArtifactRef
    from eventflow.store.port import Store

__all__ = ["measure"]

_ROUNDS = 4
_PROJECT = "bench"
_OF_FLOATS_BYTES = 8
# At least 80 % of the speed.
_GOAL = Goal("ratio", 1.25)


def measure(*, mebibytes: int) -> Iterator[Figure]:
    """The times of an array of that size.

    Raises:
        ServerMissing: there is no S3 server to be had; the local store is measured before.
    """
    yield from _on_a_folder(mebibytes)
    yield from _on_s3(mebibytes)


@dataclass(frozen=True, slots=True)
class _Ours:
    """An artifact of a store."""

    store: Store

    def save(self, array: np.ndarray[Any, Any]) -> ArtifactRef:
        return save_values(self.store, _PROJECT, {"array": array})["array"]

    def load(self, ref: ArtifactRef) -> object:
        return load_value(self.store, _PROJECT, ref, allow_pickle=False)

    def drop(self, ref: ArtifactRef) -> None:
        self.store.delete([blob_key(_PROJECT, ref.digest)])


@dataclass(frozen=True, slots=True)
class _File:
    """A file with one fsync, in the memory of the reader when it was read."""

    folder: Path

    def save(self, array: np.ndarray[Any, Any]) -> Path:
        view = array.view(np.uint8).data
        path = self.folder / hashlib.sha256(view).hexdigest()
        with path.open("xb", buffering=0) as file:
            while view:
                view = view[file.write(view) or 0 :]
            os.fsync(file.fileno())
        return path

    def load(self, path: Path) -> object:
        data = path.read_bytes()
        return data, hashlib.sha256(data).hexdigest()

    def drop(self, path: Path) -> None:
        path.unlink()


@dataclass(frozen=True, slots=True)
class _Boto3:
    """An object, by the transfer manager: ten parts of 8 MiB at a time."""

    client: S3Client
    bucket: str

    def save(self, array: np.ndarray[Any, Any]) -> str:
        view = array.view(np.uint8).data
        key = hashlib.sha256(view).hexdigest()
        self.client.upload_fileobj(io.BytesIO(view), self.bucket, key)
        return key

    def load(self, key: str) -> object:
        file = io.BytesIO()
        self.client.download_fileobj(self.bucket, key, file)
        return file, hashlib.sha256(file.getbuffer()).hexdigest()

    def drop(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)


def _on_a_folder(mebibytes: int) -> Iterator[Figure]:
    with temporary_folder() as folder:
        store = app.make_store(Settings(home=folder / "state"))
        (folder / "bare").mkdir()
        bare = _File(folder / "bare")
        taken = _taken(mebibytes, _Ours(store), bare)
    yield from _figures("local store", mebibytes, taken, "one file, fsync, SHA-256")


def _on_s3(mebibytes: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        server = stack.enter_context(found_s3())
        stack.enter_context(exported(s3_settings(server)))
        settings = Settings.load()
        store = app.make_store(settings)
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.store.endpoint_url,
            region_name=settings.store.region,
        )
        bare = _Boto3(client, store.url.removeprefix("s3://"))
        taken = _taken(mebibytes, _Ours(store), bare)
    yield from _figures("S3, loopback", mebibytes, taken, "boto3's transfers, SHA-256")


def _figures(
    backend: str, mebibytes: int, taken: dict[tuple[str, str], list[float]], peer: str
) -> Iterator[Figure]:
    for what in ("saved", "loaded"):
        name = f"an array of {mebibytes:,} MiB {what}"
        ours, bare = times_ms(taken["ours", what]), times_ms(taken["bare", what])
        yield Figure("artifacts", backend, name, ours, peer, bare, _GOAL)


def _taken(mebibytes: int, ours: _Ours, bare: _File | _Boto3) -> dict[tuple[str, str], list[float]]:
    """Seconds of each round but the first."""
    array = np.random.default_rng(mebibytes).random(mebibytes * 2**20 // _OF_FLOATS_BYTES)
    taken: dict[tuple[str, str], list[float]] = {}
    order: list[tuple[str, Any]] = [("ours", ours), ("bare", bare)]
    for round_ in range(_ROUNDS + 1):
        array[0] = round_
        order.reverse()
        for who, way in order:
            os.sync()  # nobody writes what another left
            saved, saving = _timed(way.save, array)
            loaded, loading = _timed(way.load, saved)
            del loaded
            way.drop(saved)
            if round_:
                taken.setdefault((who, "saved"), []).append(saving)
                taken.setdefault((who, "loaded"), []).append(loading)
    return taken


def _timed(call: Callable[[Any], Any], given: object) -> tuple[Any, float]:
    began = time.monotonic()
    return call(given), time.monotonic() - began
