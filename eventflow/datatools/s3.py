"""`S3`: files and objects of S3, from steps and from anywhere.

Results come in the order of the keys. What is fetched lies in files of a temporary folder until
the S3 is closed, whole or not at all. Several objects are worked on side by side, large ones in
parts. Nothing is versioned here: who puts a key a second time overwrites it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from eventflow.context import world
from eventflow.datatools.addresses import root_of_place, root_of_run
from eventflow.datatools.objects import S3GetObject, S3Object, S3PutObject
from eventflow.datatools.putting import body_of, extra_of, file_of, put_object_of
from eventflow.datatools.told import byte_range_of, object_of
from eventflow.errors import (
    InvalidS3Address,
    InvalidS3Request,
    ObjectMissing,
    S3Closed,
    S3KeyMissing,
)
from eventflow.store.s3.buckets import Address, Buckets, Listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, BinaryIO

    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.client.run import Run
    from eventflow.datatools.objects import PutValue

__all__ = ["S3"]

T = TypeVar("T")

_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,8}){1,2}\Z")


class _Wanted(NamedTuple):
    """An object that is asked for, and what its key is relative to."""

    address: Address
    prefix: str | None
    byte_range: str | None = None


class S3:
    """Objects of S3 below a root: `S3(run=self)` within a step, `S3(run=Run(…))` elsewhere,
    `S3(s3root="s3://bucket/prefix")`, `S3(bucket=…, prefix=…)`; `S3()` takes whole urls as keys.

    With `run=`, `bucket` and `prefix` say where the data of runs lies, instead of the store.
    `tmproot` is the folder for what is fetched, `encryption` that of the server for what is put.
    Use it as a context manager, or close it. One S3 may be used by several threads.
    """

    def __init__(
        self,
        tmproot: str | os.PathLike[str] | None = None,
        bucket: str | None = None,
        prefix: str | None = None,
        run: FlowSpec | Run | None = None,
        s3root: str | None = None,
        encryption: str | None = None,
    ) -> None:
        """Does no I/O on S3.

        Raises:
            InvalidS3Address: the root is none, or `run` a flow outside of its steps.
            InvalidSettings: the store is a folder, and `run=` has no bucket.
        """
        settings = world().settings.store
        if run is None:
            self._root = root_of_place(s3root, bucket, prefix)
        elif s3root is None:
            self._root = root_of_run(run, bucket, prefix, settings)
        else:
            raise InvalidS3Address("run= and s3root= are two roots: leave one out.")
        self._tmproot, self._encryption = tmproot, encryption
        self._buckets = Buckets(settings)
        self._folder: Path | None = None
        self._folder_pid = 0
        self._numbers = count()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files that were fetched. Those of a parent process stay."""
        self._is_closed = True
        self._buckets.close()
        if self._folder is not None and self._folder_pid == os.getpid():
            shutil.rmtree(self._folder, ignore_errors=True)

    # ── getting ──────────────────────────────────────────────────────────────

    def get(
        self,
        key: str | S3GetObject | None = None,
        return_missing: bool = False,
        return_info: bool = True,
    ) -> S3Object:
        """Fetch one object, or a part of it; without a key what the root itself names.

        Raises:
            S3KeyMissing: there is none; with `return_missing` it comes as one that is missing.
        """
        return self._fetching(self._wanted(key), return_missing, return_info)()

    def get_many(
        self,
        keys: Iterable[str | S3GetObject],
        return_missing: bool = False,
        return_info: bool = True,
    ) -> list[S3Object]:
        """Fetch objects, or parts of them.

        Raises:
            S3KeyMissing: one is not there; with `return_missing` it comes as one that is missing.
        """
        wanted = map(self._wanted, _several(keys))
        return self._all(self._fetching(each, return_missing, return_info) for each in wanted)

    def get_recursive(self, keys: Iterable[str], return_info: bool = False) -> list[S3Object]:
        """Fetch everything below keys; the keys of the results are relative to these."""
        return self._fetch_below(_several(keys), return_info)

    def get_all(self, return_info: bool = False) -> list[S3Object]:
        """Fetch everything below the root.

        Raises:
            InvalidS3Address: there is no root.
        """
        return self._fetch_below([None], return_info)

    # ── looking ──────────────────────────────────────────────────────────────

    def info(self, key: str | S3GetObject | None = None, return_missing: bool = False) -> S3Object:
        """What S3 says of one object, without its content.

        Raises:
            S3KeyMissing: there is none; with `return_missing` it comes as one that is missing.
        """
        return self._looking(self._wanted(key), return_missing)()

    def info_many(
        self, keys: Iterable[str | S3GetObject], return_missing: bool = False
    ) -> list[S3Object]:
        """What S3 says of objects, without their content.

        Raises:
            S3KeyMissing: one is not there; with `return_missing` it comes as one that is missing.
        """
        wanted = map(self._wanted, _several(keys))
        return self._all(self._looking(each, return_missing) for each in wanted)

    def list_paths(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """What lies right below keys, or below the root: objects, and folders, which do not
        `exist` as objects. The keys of the results are relative to these, in their order."""
        return self._list(keys, folders=True)

    def list_recursive(self, keys: Iterable[str] | None = None) -> list[S3Object]:
        """Every object below keys, or below the root, at any depth. The keys of the results are
        relative to these, in their order."""
        return self._list(keys, folders=False)

    # ── putting ──────────────────────────────────────────────────────────────

    def put(
        self,
        key: str | S3PutObject,
        obj: PutValue,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Put text, bytes or an open binary file, and give its url. Without `overwrite` an
        object that is there already stays, also when somebody else puts it at the same time.

        Raises:
            InvalidS3Request: the value or the metadata cannot be put.
        """
        named = key if isinstance(key, S3PutObject) else S3PutObject(key)
        item = named._replace(
            value=obj,
            content_type=content_type or named.content_type,
            metadata=metadata or named.metadata,
        )
        self._putting(item, body_of(item), overwrite)()
        return self._root.object(item.key).url

    def put_many(
        self,
        key_objs: Iterable[tuple[str, PutValue] | S3PutObject],
        overwrite: bool = True,
    ) -> list[tuple[str, str]]:
        """Put several, and give key and url of those that were put: without `overwrite` not of
        what is there already. A generator is asked for few values ahead.

        Raises:
            InvalidS3Request: a value or metadata cannot be put.
        """
        items = (put_object_of(each, "value") for each in key_objs)
        return self._put_all(((each, body_of(each)) for each in items), overwrite)

    def put_files(
        self,
        key_paths: Iterable[tuple[str, str] | S3PutObject],
        overwrite: bool = True,
    ) -> list[tuple[str, str]]:
        """Put local files; the result is as that of `put_many`.

        Raises:
            InvalidS3Request: there is no such file, or metadata cannot be put.
        """
        items = (put_object_of(each, "path") for each in key_paths)
        return self._put_all(((each, file_of(each)) for each in items), overwrite)

    # ── what these are made of ───────────────────────────────────────────────

    def _wanted(self, key: str | S3GetObject | None) -> _Wanted:
        self._check_open()
        name = key.key if isinstance(key, S3GetObject) else key
        byte_range = byte_range_of(key) if isinstance(key, S3GetObject) else None
        return _Wanted(self._root.object(name), self._root.url, byte_range)

    def _fetching(
        self, wanted: _Wanted, return_missing: bool, return_info: bool
    ) -> Callable[[], S3Object]:
        file = self._new_file(wanted.address.name)

        def fetch() -> S3Object:
            try:
                facts = self._buckets.fetch(wanted.address, file, wanted.byte_range)
            except ObjectMissing as error:
                return _missing(wanted, error, return_missing)
            except OSError as error:
                raise InvalidS3Request(
                    f"{wanted.address.url} cannot be written to {file.parent}: {error}. Give"
                    " S3(tmproot=…) a folder with room."
                ) from error
            made = object_of(wanted.address, wanted.prefix, facts if return_info else None)
            return made.fetched(file)

        return fetch

    def _fetch_below(self, keys: Iterable[str | None], return_info: bool) -> list[S3Object]:
        wanted = (_Wanted(each.address, prefix) for prefix, each in self._below(keys))
        return self._all(self._fetching(each, False, return_info) for each in wanted)

    def _looking(self, wanted: _Wanted, return_missing: bool) -> Callable[[], S3Object]:
        def look() -> S3Object:
            try:
                facts = self._buckets.look(wanted.address)
            except ObjectMissing as error:
                return _missing(wanted, error, return_missing)
            return object_of(wanted.address, wanted.prefix, facts)

        return look

    def _list(self, keys: Iterable[str] | None, *, folders: bool) -> list[S3Object]:
        below = self._below([None] if keys is None else _several(keys), folders=folders)
        return [object_of(each.address, prefix).sized(each.size_bytes) for prefix, each in below]

    def _below(
        self, keys: Iterable[str | None], *, folders: bool = False
    ) -> list[tuple[str, Listed]]:
        """What is listed below each key, with the url of the key."""
        self._check_open()

        def listing(address: Address) -> list[tuple[str, Listed]]:
            folder = f"{address.name.rstrip('/')}/" if address.name else ""
            found = self._buckets.entries(Address(address.bucket, folder), folders=folders)
            return [(address.url.rstrip("/"), each) for each in found]

        calls = (partial(listing, self._root.of(key)) for key in keys)
        return [each for found in self._all(calls) for each in found]

    def _putting(
        self, item: S3PutObject, source: str | BinaryIO, overwrite: bool
    ) -> Callable[[], bool]:
        self._check_open()
        address, extra = self._root.object(item.key), extra_of(item, self._encryption)

        def put() -> bool:
            try:
                return self._buckets.upload(address, source, extra, only_new=not overwrite)
            except OSError as error:
                raise InvalidS3Request(f"{item.key}: it cannot be read: {error}.") from error

        return put

    def _put_all(
        self, items: Iterable[tuple[S3PutObject, str | BinaryIO]], overwrite: bool
    ) -> list[tuple[str, str]]:
        keys: list[str] = []

        def calls() -> Iterator[Callable[[], bool]]:
            for item, source in items:
                keys.append(item.key)
                yield self._putting(item, source, overwrite)

        done = self._all(calls())
        return [
            (key, self._root.object(key).url)
            for key, is_put in zip(keys, done, strict=True)
            if is_put
        ]

    def _all(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        return self._buckets.in_parallel(calls)

    def _new_file(self, name: str) -> Path:
        """A path of its own for an object; its suffix is that of the name, for who goes by it."""
        if self._folder is None:
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="eventflow.s3.", dir=self._tmproot))
            except OSError as error:
                raise InvalidS3Request(
                    f"tmproot={self._tmproot}: no folder can be made in it: {error}."
                ) from error
            self._folder_pid = os.getpid()
        suffix = _SUFFIX.search(name.rpartition("/")[2])
        return self._folder / f"{os.getpid()}-{next(self._numbers)}{suffix[0] if suffix else ''}"

    def _check_open(self) -> None:
        if self._is_closed:
            raise S3Closed("This S3 is closed: its `with` block has ended. Make another one.")


def _several(keys: Iterable[Any]) -> Iterable[Any]:
    if isinstance(keys, (str, bytes, S3GetObject)):
        raise InvalidS3Request(f"{keys!r} is one key, and several are taken here: give a list.")
    return keys


def _missing(wanted: _Wanted, error: ObjectMissing, return_missing: bool) -> S3Object:
    if return_missing:
        return object_of(wanted.address, wanted.prefix)
    raise S3KeyMissing(
        f"{wanted.address.url} does not exist. List what does with list_recursive(), or have it"
        " come as a missing one with return_missing=True."
    ) from error
