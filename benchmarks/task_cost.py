"""What one trivial task of a long linear flow costs: a process of its own, its artifacts durable.

The ceiling forks as often, and in each child writes and fsyncs as many files of the same size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.line import STEPS, lines
from benchmarks.place import temporary_folder
from eventflow.settings import Settings

__all__ = ["measure"]

_GOAL = Goal("p50", 10)


def measure(*, runs: int) -> Iterator[Figure]:
    """The time between the ends of two tasks, over all of so many runs but their first task."""
    ours: list[float] = []
    bare: list[float] = []
    with temporary_folder() as folder, lines(folder, Settings(home=folder / "state")) as line:
        for number in range(1, runs + 1):
            ours += line.run(number)
            bare += _forks(folder / f"bare-{number}", line.left(number))
    name = f"a task of a linear flow of {STEPS} steps"
    peer = "fork, write and fsync as many files"
    yield Figure("task_cost", "local store", name, times_ms(ours), peer, times_ms(bare), _GOAL)


def _forks(folder: Path, files: list[bytes]) -> list[float]:
    """Seconds of each of `STEPS` children that write equal shares of the files."""
    folder.mkdir()
    share = len(files) // STEPS
    return [
        _fork(folder, number, files[number * share : (number + 1) * share])
        for number in range(STEPS)
    ]


def _fork(folder: Path, number: int, files: list[bytes]) -> float:
    at = time.monotonic()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for index, data in enumerate(files):
                _write(folder / f"{number}-{index}", data)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"a bare child ended with status {status}")
    return time.monotonic() - at


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
