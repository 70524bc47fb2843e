"""The store in a folder. Keeps the contract of `port` with hard links and fsync.

An object is written to a temporary file and fsynced, then linked to its name: `link` fails when
the name is taken (`rename` would replace in silence), and a name only ever shows whole content.
Then the folders are fsynced, up to the first one whose name is known to be on disk. A process
that dies leaves at most a temporary file or an empty folder, neither of which is an object.

A task is a process of its own and reads and writes a few small objects: so paths are plain text
here, and no module of the standard library is used that `os` does without (docs/performance.md).

Keys that differ only in case are one key where the file system says so. Network file systems
without hard links are refused (StoreUnsuitable), by the first put or by the probe.
"""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from eventflow.effects import SystemIds
from eventflow.errors import (
    BucketMissing,
    InvalidName,
    ObjectMissing,
    StoreForbidden,
    StoreUnreachable,
    StoreUnsuitable,
)
from eventflow.store.keys import RESERVED_PART, check_key, check_prefix
from eventflow.store.pieces import in_batches, pieces_of
from eventflow.store.port import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from eventflow.errors import EventflowError
    from eventflow.store.pieces import Data

__all__ = ["LocalStore"]

_ABANDONED = timedelta(days=1)
_MOST_KNOWN_FOLDERS = 10_000
_WRITERS = 4
_FEW = 2
_MOST_AHEAD_BYTES = 64 * 2**20
_MAPPED_BYTES = 2**20
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore:
    """Objects are files below `folder`, which has to exist."""

    def __init__(self, folder: Path, *, sweeps: bool = True) -> None:
        """With `sweeps` the first write removes what dead writers left a day ago."""
        self._folder = folder.absolute()
        self._root = str(self._folder)
        self._temporary = f"{self._root}/{RESERVED_PART}"
        self._ids = SystemIds()
        self._is_swept = not sweeps
        # Folders whose own names, up to the root, are known to be on disk.
        self._durable: set[str] = set()
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    @property
    def url(self) -> str:
        return self._folder.as_uri()

    def get(self, key: str) -> bytes:
        path = self._path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                return file.readall()
        except _NOT_THERE as error:
            raise self._missing(key) from error
        except OSError as error:
            raise self._explained(key, error) from error

    def get_own(self, key: str) -> memoryview:
        path = self._path(key)
        try:
            return _own_memory(path)
        except _NOT_THERE as error:
            raise self._missing(key) from error
        except OSError as error:
            raise self._explained(key, error) from error

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        for key in keys:
            try:
                yield key, self.get(key)
            except ObjectMissing:
                yield key, None

    def put(self, key: str, data: Data) -> None:
        self._put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put(key, data)

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        folders: dict[str, None] = {}
        for batch in in_batches(objects, _MOST_AHEAD_BYTES):
            # Syncs that wait at the same time share a commit of the file system's journal: four
            # cost little more than one. For a few, as a task's output, threads cost more.
            put = map if len(batch) <= _FEW else self._writers.map
            folders |= dict.fromkeys(put(self._put_unsynced, batch))
        try:
            for folder in folders:
                self._sync(folder)
        except OSError as error:
            raise self._explained("", error) from error

    def info(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        try:
            status = _status(path)
            if status is None or stat.S_ISDIR(status.st_mode):
                self._check_root()
                return None
        except OSError as error:
            raise self._explained(key, error) from error
        return ObjectInfo(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        folder, slash, stem = check_prefix(prefix).rpartition("/")
        return islice(self._walk(folder + slash, stem, after, folders=folders), limit)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._path(key)
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
            except OSError as error:
                raise self._explained(key, error) from error

    def rely_on(self, prefix: str) -> None:
        # The folders that lead there are on disk, and are not synced again.
        folder = f"{self._root}/{check_prefix(prefix)}".rstrip("/")
        while folder != self._root and folder not in self._durable:
            self._durable.add(folder)
            folder = _parent(folder)

    def rehearse(self) -> None:
        """Nothing: the first is as every other."""

    # ── writing ──────────────────────────────────────────────────────────────

    def _put(self, key: str, data: Data) -> bool:
        path = self._path(key)
        try:
            is_mine = self._write(path, data)
            # Also when another's: what this writer now knows of it has to survive a power cut.
            self._sync(_parent(path))
        except OSError as error:
            raise self._explained(key, error) from error
        return is_mine

    @property
    def _writers(self) -> ThreadPoolExecutor:
        """Threads of this process; those of a parent are not in a fork of it."""
        pid = os.getpid()
        if self._pool is None or self._pool[0] != pid:
            # Imported by the first put of more than a few: a task process does without.
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as said

            self._pool = pid, ThreadPoolExecutor(_WRITERS, "eventflow-store")
        return self._pool[1]

    def _put_unsynced(self, one: tuple[str, Data]) -> str:
        """The folder of the object, which is on disk once that is synced."""
        key, data = one
        path = self._path(key)
        try:
            self._write(path, data)
        except OSError as error:
            raise self._explained(key, error) from error
        return _parent(path)

    def _write(self, path: str, data: Data) -> bool:
        """Whether this call gave the name its content, which is on disk; the name may not be."""
        if self._stands(path):
            return False
        temporary = self._write_temporary(data)
        try:
            return self._link(temporary, path)
        finally:
            _remove(temporary)

    def _stands(self, path: str) -> bool:
        status = _status(path)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise StoreUnsuitable(f"{path} is a folder of objects and cannot be an object too.")
        return status is not None

    def _write_temporary(self, data: Data) -> str:
        path = f"{self._temporary}/{os.getpid()}-{self._ids.token(16)}"
        descriptor = self._create(path)
        try:
            for view in pieces_of(data).views:
                _write_all(descriptor, view)
            os.fsync(descriptor)
            if not self._is_swept:
                self._sweep(os.fstat(descriptor).st_mtime)
        except BaseException:
            _remove(path)
            raise
        finally:
            os.close(descriptor)
        return path

    def _create(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return os.open(path, flags, 0o666)
        except FileNotFoundError:
            self._make(self._temporary)
            return os.open(path, flags, 0o666)

    def _link(self, temporary: str, path: str) -> bool:
        try:
            return _link(temporary, path)
        except FileNotFoundError:
            self._make(_parent(path))
            return _link(temporary, path)
        except NotADirectoryError as error:
            raise StoreUnsuitable(f"{path}: a part of it is an object already.") from error

    def _make(self, folder: str) -> None:
        """Make a folder below the root, with its parents; the root itself has to be there."""
        if folder == self._root:
            self._check_root()
            return
        try:
            _make_folder(folder)
        except FileNotFoundError:
            self._make(_parent(folder))
            _make_folder(folder)
        self._durable.discard(folder)

    def _sync(self, folder: str) -> None:
        """Put the names in `folder` on disk, and its own name, and so on up."""
        _fsync(folder)
        fresh = []
        while folder != self._root and folder not in self._durable:
            fresh.append(folder)
            folder = _parent(folder)
            _fsync(folder)
        if len(self._durable) > _MOST_KNOWN_FOLDERS:
            self._durable.clear()
            return
        self._durable.update(fresh)

    def _sweep(self, now: float) -> None:
        """Once per store: remove what dead writers left, by the file system's own time."""
        self._is_swept = True
        with os.scandir(self._temporary) as entries:
            for entry in entries:
                status = _status(entry.path)
                if status and now - status.st_mtime > _ABANDONED.total_seconds():
                    _remove(entry.path)

    # ── listing ──────────────────────────────────────────────────────────────

    def _walk(
        self, folder: str, stem: str, after: str, *, folders: bool = False
    ) -> Iterator[ObjectInfo]:
        """Objects below `folder` (`""` or with its slash) whose next part begins with `stem`.

        Text compares by code points, which is the order of UTF-8 bytes.
        """
        for name in self._names(folder, stem):
            key = folder + name
            if not name.endswith("/"):
                info = self.info(key) if key > after else None
                if info is not None:
                    yield info
            elif folders:
                if key > after and self._has_objects(key):
                    yield ObjectInfo(key, 0, None, is_folder=True)
            elif key > after or after.startswith(key):
                yield from self._walk(key, "", after)

    def _names(self, folder: str, stem: str) -> Sequence[str]:
        """What in a folder begins with `stem`, in the order of keys: folders with the slash that
        follows."""
        try:
            with os.scandir(f"{self._root}/{folder}") as entries:
                names = [
                    f"{entry.name}/" if entry.is_dir() else entry.name
                    for entry in entries
                    if entry.name.startswith(stem)
                ]
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            return []
        except OSError as error:
            raise self._explained(folder, error) from error
        if not folder:
            names = [name for name in names if name != f"{RESERVED_PART}/"]
        return sorted(names)

    def _has_objects(self, folder: str) -> bool:
        # A folder is not removed with its last object, and one may be made before its first.
        # In no order, so that a large folder costs no more than a small one.
        try:
            with os.scandir(f"{self._root}/{folder}") as entries:
                return any(
                    not entry.is_dir() or self._has_objects(f"{folder}{entry.name}/")
                    for entry in entries
                )
        except (FileNotFoundError, NotADirectoryError):
            self._check_root()
            return False
        except OSError as error:
            raise self._explained(folder, error) from error

    # ── errors ───────────────────────────────────────────────────────────────

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    def _missing(self, key: str) -> ObjectMissing:
        self._check_root()
        return ObjectMissing(f"{self.url}/{key} does not exist.")

    def _check_root(self) -> None:
        if not self._folder.is_dir():
            raise BucketMissing(
                f"{self._root} does not exist: make the folder, or mount what holds it, or set"
                " EVENTFLOW_STORE__URL."
            )

    def _explained(self, key: str, error: OSError) -> EventflowError:
        """The error of the port for what the system said."""
        place = f"{self._root}/{key}"
        if error.errno in _REFUSED:
            return StoreForbidden(
                f"{place}: {error.strerror}. Give this user the right to read and write"
                " the folder of the store."
            )
        if error.errno == errno.ENAMETOOLONG:
            return InvalidName(f"{place}: {error.strerror}. Use shorter names.")
        return StoreUnreachable(f"{place}: {error.strerror}.")


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _make_folder(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]


def _own_memory(path: str) -> memoryview:
    """What is in a file. Of a large one only the pages that are read or changed take memory, and
    those that are not changed share it with all who read it."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size < _MAPPED_BYTES:
            return memoryview(bytearray(file.read()))
        # Not for a task without large artifacts.
        from mmap import ACCESS_COPY, mmap  # noqa: PLC0415 - as said

        return memoryview(mmap(file.fileno(), size, access=ACCESS_COPY))


def _link(temporary: str, path: str) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        raise StoreUnsuitable(
            f"{path}: the file system of the store has no hard links ({error.strerror}), so that"
            " it cannot say who wrote first. Use a local disk, or an S3 server."
        ) from error
    return True


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _fsync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
