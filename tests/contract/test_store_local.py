"""What is particular to the store in a folder: its file system, its crashes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from eventflow.errors import EventflowError, StoreForbidden, StoreUnsuitable
from eventflow.store.local import LocalStore
from tests.support.eventually import eventually

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def _put_until_killed(folder: Path) -> None:
    store = LocalStore(folder)
    for number in range(1_000_000):
        store.put(f"some/folder/{number}", os.urandom(100_000))


def test_a_writer_that_is_killed_leaves_whole_objects_only(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=_put_until_killed, args=[tmp_path])
    writer.start()
    assert writer.pid is not None
    store = LocalStore(tmp_path)
    eventually(lambda: len(list(store.list("some/"))) > 20)

    os.kill(writer.pid, signal.SIGKILL)
    writer.join()

    assert {each.size_bytes for each in store.list("")} == {100_000}


def test_what_dead_writers_left_is_no_object_and_goes_after_a_day(
    tmp_path: Path, store: LocalStore
) -> None:
    store.put("object", b"")
    young, old = tmp_path / ".tmp" / "1-young", tmp_path / ".tmp" / "1-old"
    young.write_bytes(b"half")
    old.write_bytes(b"half")
    two_days_ago = young.stat().st_mtime - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))

    LocalStore(tmp_path).put("other", b"")

    assert [each.key for each in store.list("")] == ["object", "other"]
    assert young.exists()
    assert not old.exists()


def test_no_temporary_file_outlives_its_put(tmp_path: Path, store: LocalStore) -> None:
    store.put("a", b"1")
    store.put_if_absent("a", b"2")
    store.put_all([("b", b"3"), ("a", b"4")])

    assert list((tmp_path / ".tmp").iterdir()) == []


def synced_by(put: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the folders that were fsynced meanwhile."""
    names: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        names.extend([path.name] if path.is_dir() else [])
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noting)
        put()
    return names


def test_all_folders_up_to_the_root_are_synced_by_who_knows_nothing_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalStore(tmp_path).put("runs/one/run.json", b"1")
    other = LocalStore(tmp_path)

    names = synced_by(lambda: other.put("runs/one/step/artifacts.json", b"2"), monkeypatch)

    assert names == ["step", "one", "runs", tmp_path.name]


def test_folders_that_somebody_made_durable_are_not_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalStore(tmp_path).put("runs/one/run.json", b"1")
    other = LocalStore(tmp_path)
    other.rely_on("runs/one/")

    names = synced_by(lambda: other.put("runs/one/step/artifacts.json", b"2"), monkeypatch)

    assert names == ["step", "one"]


def test_a_folder_that_was_removed_behind_the_stores_back_is_made_again(
    tmp_path: Path, store: LocalStore
) -> None:
    store.put("a/b/c", b"1")
    (tmp_path / "a" / "b" / "c").unlink()
    (tmp_path / "a" / "b").rmdir()

    assert store.put_if_absent("a/b/c", b"2")

    assert store.get("a/b/c") == b"2"


@pytest.fixture
def other_device() -> Iterator[Path]:
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == Path("/tmp").stat().st_dev:
        pytest.skip("there is no second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory) as folder:
        yield Path(folder)


def test_a_file_system_that_cannot_link_is_refused_with_the_reason(
    tmp_path: Path, other_device: Path
) -> None:
    # Between two file systems `link` fails as it does on one that has no hard links.
    (tmp_path / ".tmp").symlink_to(other_device)

    with pytest.raises(StoreUnsuitable, match="has no hard links"):
        LocalStore(tmp_path).put_if_absent("key", b"")


def test_an_object_cannot_be_below_an_object(store: LocalStore) -> None:
    store.put("a", b"")

    with pytest.raises(StoreUnsuitable, match="an object already"):
        store.put("a/b", b"")
    with pytest.raises(StoreUnsuitable, match="an object already"):
        store.put("a/b/c", b"")


def test_a_folder_cannot_become_an_object(store: LocalStore) -> None:
    store.put("a/b", b"")

    with pytest.raises(StoreUnsuitable, match="is a folder"):
        store.put_if_absent("a", b"")


def _error_of_nobody(folder: Path, results: multiprocessing.SimpleQueue[str]) -> None:
    with suppress(PermissionError):  # who is not root has no rights to give up
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        LocalStore(folder).put("key", b"")
    except EventflowError as error:
        results.put(type(error).__name__)
    else:
        results.put("nothing was refused")


def test_a_folder_that_may_not_be_written_is_forbidden(tmp_path: Path) -> None:
    # In a process that gave up its rights, since nothing is forbidden to root.
    tmp_path.chmod(0o500)
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    child = fork.Process(target=_error_of_nobody, args=[tmp_path, results])

    child.start()
    child.join()
    tmp_path.chmod(0o700)

    assert results.get() == StoreForbidden.__name__
