"""`parallel_map` and its kin: calls in forks, their results, and what becomes of failures."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from eventflow import parallel_imap_unordered, parallel_map, profile
from eventflow.errors import CallFailed, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class OfTwo(Exception):
    """An error that can be pickled, and cannot be made again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_results_come_in_the_order_of_what_was_given() -> None:
    base = 10

    found = parallel_map(lambda each: each + base, range(25), max_parallel=3)

    assert found == list(range(10, 35))
    assert parallel_map(str, []) == []


def test_calls_run_in_processes_of_their_own_and_change_nothing_here() -> None:
    seen: list[int] = []

    def noted(each: int) -> int:
        seen.append(each)
        return os.getpid()

    pids = parallel_map(noted, range(3))

    assert seen == []
    assert len({*pids, os.getpid()}) == 4


def test_a_result_may_be_larger_than_a_pipe_holds(tmp_path: Path) -> None:
    (found,) = parallel_map(lambda size: b"x" * size, [3_000_000], dir=str(tmp_path))

    assert len(found) == 3_000_000
    assert list(tmp_path.iterdir()) == []


def test_what_is_ready_first_comes_first(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    results = parallel_imap_unordered(
        lambda each: gate.read_text() if each == "held" else each, ["held", "free"], 2
    )
    first = next(results)
    gate.write_text("let go")

    assert [first, *results] == ["free", "let go"]


def test_no_more_calls_run_at_a_time_than_is_said(tmp_path: Path) -> None:
    def others(each: int) -> int:
        mark = tmp_path / str(each)
        mark.touch()
        count = len(list(tmp_path.iterdir()))
        mark.unlink()
        return count

    assert max(parallel_map(others, range(12), max_parallel=2)) <= 2


def test_an_error_is_raised_here_with_the_traceback_of_there() -> None:
    def refuse(each: int) -> NoReturn:
        raise KeyError(f"number {each}")

    with pytest.raises(KeyError, match="number 7") as caught:
        parallel_map(refuse, [7])

    (note,) = caught.value.__notes__
    assert note.startswith("In the process of call 0:\nTraceback")
    assert "in refuse" in note


def _two() -> NoReturn:
    raise OfTwo("a", "b")


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (_two, r"(?s)Call 0 failed, .* in _two.*OfTwo: ab"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "call 0 was killed by SIGKILL"),
        (lambda: os._exit(3), "call 0 ended with 3"),
        (lambda: sys.exit("no more"), r"(?s)Call 0 failed, .*SystemExit: no more"),
    ],
)
def test_what_cannot_be_raised_here_is_told(fail: Callable[[], object], message: str) -> None:
    with pytest.raises(CallFailed, match=message):
        parallel_map(lambda _: fail(), [None])


def test_a_result_that_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises(Exception, match="pickle") as caught:
        parallel_map(lambda _: threading.Lock(), [None])

    assert "In the process of call 0" in caught.value.__notes__[0]


def test_after_a_failure_nothing_is_at_work(tmp_path: Path) -> None:
    gate, pids = tmp_path / "gate", tmp_path / "pid"
    os.mkfifo(gate)
    os.mkfifo(pids)

    def work(each: str) -> str:
        if each == "held":
            pids.write_text(str(os.getpid()))
            return gate.read_text()
        raise ValueError(pids.read_text())

    with pytest.raises(ValueError, match=r"\d+") as caught:
        parallel_map(work, ["held", "failing"], max_parallel=2)

    assert _is_gone(int(str(caught.value)))


@pytest.mark.timeout(30)
def test_a_killed_process_is_missed_though_what_it_started_lives(tmp_path: Path) -> None:
    started = tmp_path / "pid"

    def work(_: int) -> None:
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            signal.pause()
        started.write_text(str(pid))
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(CallFailed, match="call 0 was killed by SIGKILL"):
        parallel_map(work, [0])

    os.kill(int(started.read_text()), signal.SIGKILL)  # it lives, and had the pipe open


def test_a_closed_iterator_leaves_neither_processes_nor_files(tmp_path: Path) -> None:
    pids = tmp_path / "pid"
    os.mkfifo(pids)
    files = tmp_path / "files"
    files.mkdir()

    def work(number: int) -> str:
        if number == 1:
            pids.write_text(str(os.getpid()))
            signal.pause()
        return pids.read_text()

    results = parallel_imap_unordered(work, range(2), 2, str(files))
    held = int(next(results))
    assert list(files.iterdir()) != []
    del results

    assert list(files.iterdir()) == []
    assert _is_gone(held)


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
def test_a_wrong_number_of_processes_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=f"max_parallel={wrong!r}: at least one"):
        parallel_imap_unordered(str, [1], max_parallel=wrong)


def test_profile_tells_how_long_a_block_took(capsys: pytest.CaptureFixture[str]) -> None:
    with profile("reading"):
        pass

    assert capsys.readouterr().out.startswith("reading took ")


def test_profile_adds_up_in_a_dict_also_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    took = {"reading": 1_000_000}

    with pytest.raises(KeyError), profile("reading", took):
        raise KeyError

    assert 1_000_000 <= took["reading"] < 2_000_000
    assert capsys.readouterr().out == ""
