"""The embedded bus among processes: locks, forks, kills, reboots, sockets, other versions."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.bus.sqlite import SqliteBus
from eventflow.bus.sqlite.machine import mounted_kind
from eventflow.errors import BusBusy, BusForbidden, BusUnreachable, Fenced, InvalidSettings
from eventflow.model.log import Cleanup, NewRecord, TopicPartition, TopicSpec
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = timedelta()
SPEC = TopicSpec("topic", 2, Cleanup.DELETE, timedelta(days=1), 1_000_000)

PUBLISHER = """
import sys
from pathlib import Path
from eventflow.bus.sqlite import SqliteBus
from eventflow.model.log import NewRecord

bus = SqliteBus(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    (at,) = bus.publish([NewRecord("topic", b"k", f"{sys.argv[2]}-{n}".encode(), partition=0)])
    print(at.offset, flush=True)
"""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SqliteBus]:
    with closing(SqliteBus(tmp_path, patience=timedelta(milliseconds=200))) as bus:
        bus.ensure([SPEC], create=True)
        yield bus


def _record(value: str) -> NewRecord:
    return NewRecord("topic", b"k", value.encode(), partition=0)


def _read(bus: SqliteBus) -> list[str]:
    return [(r.value or b"").decode() for r in read_to_end(bus, TopicPartition("topic", 0))]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """As by a process that was stopped in the middle of a write."""
    with closing(sqlite3.connect(folder / "bus.db", isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        yield
        file.execute("ROLLBACK")


# ── a stopped process ────────────────────────────────────────────────────────
def test_a_write_that_waits_too_long_is_busy_and_wrote_nothing(
    bus: SqliteBus, tmp_path: Path
) -> None:
    writer = bus.writer("tx", timeout=timedelta(seconds=1))
    transaction = writer.begin()
    transaction.append(_record("in a transaction"))

    with _locked(tmp_path):
        with pytest.raises(BusBusy):
            bus.publish([_record("published")])
        with pytest.raises(BusBusy):
            transaction.commit().result()
    bus.publish([_record("after")])

    assert _read(bus) == ["after"]


def test_reading_goes_on_beside_a_stopped_writer(bus: SqliteBus, tmp_path: Path) -> None:
    bus.publish([_record("there")])

    with _locked(tmp_path):
        assert _read(bus) == ["there"]


def test_what_changed_before_a_poll_failed_is_told_by_the_next(
    bus: SqliteBus, tmp_path: Path
) -> None:
    member = bus.consumer("group", ["topic"], transactional_id="tx")
    with _locked(tmp_path), pytest.raises(BusBusy):
        member.poll(NOW)

    assigned = member.poll(NOW).assigned

    assert [assignment.partition for assignment in assigned] == [0, 1]


# ── many processes, killed ones ──────────────────────────────────────────────
def test_several_processes_publish_at_once_and_nothing_is_lost(
    bus: SqliteBus, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        children = [
            stack.enter_context(_publisher(tmp_path, name, count=100)) for name in ("a", "b", "c")
        ]
        offsets = [int(line) for child in children for line in child.communicate()[0].split()]

    assert sorted(offsets) == list(range(300))
    read = _read(bus)
    for name in ("a", "b", "c"):
        assert [text for text in read if text[0] == name] == [f"{name}-{n}" for n in range(100)]


def test_what_was_acknowledged_before_a_kill_is_there(bus: SqliteBus, tmp_path: Path) -> None:
    with _publisher(tmp_path, "v", count=1_000_000) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(50)]
        child.kill()
        acknowledged += [
            int(line)
            for line in child.communicate()[0].splitlines(keepends=True)
            if line.endswith("\n")
        ]

    read = _read(bus)
    assert read == [f"v-{n}" for n in range(len(read))]
    assert len(acknowledged) <= len(read) <= len(acknowledged) + 1
    bus.publish([_record("after")])
    assert _read(bus)[-1] == "after"


@contextmanager
def _publisher(folder: Path, name: str, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PUBLISHER, str(folder), name, str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def test_members_of_before_a_reboot_are_dead_at_once(tmp_path: Path) -> None:
    ages = timedelta(days=1)
    with (
        closing(SqliteBus(tmp_path, session=ages)) as former,
        closing(SqliteBus(tmp_path, session=ages)) as later,
    ):
        former.ensure([SPEC], create=True)
        (old, _) = former.consumer("group", ["topic"], transactional_id="tx").poll(NOW).assigned
        with closing(sqlite3.connect(tmp_path / "bus.db")) as file, file:
            file.execute("UPDATE members SET boot_id = 'of the former boot'")

        member = later.consumer("group", ["topic"], transactional_id="tx")
        assigned = member.poll(NOW).assigned

        assert [assignment.partition for assignment in assigned] == [0, 1]
        with pytest.raises(Fenced):
            old.acquire()


# ── forks ────────────────────────────────────────────────────────────────────
def _in_a_fork(action: Callable[[], object]) -> int:
    """The exit code of a forked child that does something: 0, or 1 when it raised."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _is_fenced(action: Callable[[], object]) -> Callable[[], None]:
    def check() -> None:
        with pytest.raises(Fenced):
            action()

    return check


def test_a_bus_goes_on_in_a_forked_child_and_in_the_parent(bus: SqliteBus) -> None:
    bus.publish([_record("before")])

    code = _in_a_fork(lambda: bus.publish([_record("of the child")]))
    bus.publish([_record("of the parent")])

    assert code == 0
    assert _read(bus) == ["before", "of the child", "of the parent"]


def test_a_fork_holds_none_of_the_locks_that_its_parent_took(bus: SqliteBus) -> None:
    """SQLite's locks belong to the process: connections shared with a child would lose them."""
    (before,) = bus.publish([_record("before")])

    def outlive() -> None:
        for n in range(20):
            bus.publish([_record(f"child {n}")])

    pid = os.fork()
    if pid == 0:
        try:
            outlive()
        finally:
            os._exit(0)
    offsets = [bus.publish([_record(f"parent {n}")])[0].offset for n in range(20)]
    os.waitpid(pid, 0)

    assert len(set(offsets)) == 20
    assert bus.high_watermark(TopicPartition("topic", 0)) == before.offset + 41
    assert sorted(_read(bus)) == sorted(
        ["before", *(f"{who} {n}" for who in ("child", "parent") for n in range(20))]
    )


def test_a_forked_child_cannot_write_in_its_parents_name(bus: SqliteBus) -> None:
    member = bus.consumer("group", ["topic"], transactional_id="tx")
    assignment = member.poll(NOW).assigned[0]
    assignment.acquire()
    transaction = assignment.begin()
    transaction.append(_record("of the parent"))
    writer = bus.writer("tx", timeout=timedelta(seconds=1))
    refused = [
        assignment.begin,
        assignment.acquire,
        lambda: transaction.commit().result(),
        writer.begin,
        lambda: member.poll(NOW),
    ]

    codes = [_in_a_fork(_is_fenced(action)) for action in refused]
    code_of_close = _in_a_fork(member.close)
    transaction.commit().result()

    assert codes == [0] * len(refused)
    assert code_of_close == 0
    assert assignment.is_live
    assert _read(bus) == ["of the parent"]


# ── waking ───────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("depth", [1, 20])
def test_a_waiting_member_is_woken_however_long_the_path_is(
    tmp_path: Path, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventflow.bus.sqlite.wakers.SAFETY_NET", timedelta(hours=1))
    folder = tmp_path.joinpath(*["a-long-name"] * depth)
    age = timedelta(days=1)
    with closing(SqliteBus(folder, session=age)) as bus, closing(SqliteBus(folder)) as other:
        bus.ensure([SPEC], create=True)
        member = bus.consumer("group", ["topic"], transactional_id="tx")
        for assignment in member.poll(NOW).assigned:
            assignment.resume("topic")
        eventually(lambda: member.poll(NOW).ended)
        late = threading.Timer(0.1, other.publish, [[_record("late")]])
        late.start()
        started_at = time.monotonic()

        poll = member.poll(timedelta(seconds=30))
        late.join()

    assert [r.value for records in poll.records.values() for r in records] == [b"late"]
    assert time.monotonic() - started_at < 20


def test_the_socket_of_a_dead_waiter_is_removed(bus: SqliteBus, tmp_path: Path) -> None:
    def wait_for_ever() -> None:
        bus.consumer("group", ["topic"], transactional_id="tx")
        os.kill(os.getpid(), signal.SIGKILL)

    _in_a_fork(wait_for_ever)
    waiters = tmp_path / "waiters"
    before = list(waiters.iterdir())

    bus.publish([_record("v")])

    assert len(before) == 1
    assert list(waiters.iterdir()) == []


def test_the_socket_of_a_member_goes_with_it(bus: SqliteBus, tmp_path: Path) -> None:
    member = bus.consumer("group", ["topic"], transactional_id="tx")
    member.close()
    member.close()

    assert list((tmp_path / "waiters").iterdir()) == []


# ── the folder ───────────────────────────────────────────────────────────────
def test_a_file_of_another_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    SqliteBus(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "bus.db")) as file:
        file.execute("PRAGMA user_version = 99")

    with pytest.raises(InvalidSettings, match=r"schema 99.* knows 1 "):
        SqliteBus(tmp_path)


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bus.db").write_bytes(b"something else entirely" * 100)

    with pytest.raises(BusUnreachable, match=r"bus\.db"):
        SqliteBus(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises((BusUnreachable, BusForbidden), match="state folder"):
        SqliteBus(tmp_path / "file" / "below")


def test_a_closed_bus_refuses_everything(bus: SqliteBus) -> None:
    bus.close()

    with pytest.raises(BusUnreachable, match="closed"):
        bus.publish([_record("v")])
    with pytest.raises(BusUnreachable, match="closed"):
        bus.topic("topic")


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/u/project", "ext4"),
        ("/mnt/team/project/.eventflow", "nfs4"),
        ("/mnt/team", "nfs4"),
        ("/mnt/teams", "ext4"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/team/local/x", "xfs"),
    ],
)
def test_the_innermost_mount_tells_the_file_system(folder: str, kind: str) -> None:
    mounts = [
        "rootfs / rootfs rw 0 0",
        "/dev/sda1 / ext4 rw 0 0",
        "server:/team /mnt/team nfs4 rw,vers=4.2 0 0",
        "//server/share /mnt/with\\040blank cifs rw 0 0",
        "/dev/sdb1 /mnt/team/local xfs rw 0 0",
    ]

    assert mounted_kind(Path(folder), mounts) == kind
