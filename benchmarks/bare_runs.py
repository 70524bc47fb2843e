"""What a run of three tasks comes to without eventflow: forks, and files that are durable.

    python -I -S bare_runs.py <folder> <runs> <bytes of each file of a run …>

The first three files of a run are written by a fork each, one after the other, the rest by this
process. Each is written beside, fsynced, linked to its name, and its folder fsynced. A program of
its own, so that its forks copy a bare interpreter. Prints when each run ended, by the monotonic
clock.
"""

from __future__ import annotations

import os
import sys
import time

_TASKS = 3


def main(folder: str, runs: str, *sizes: str) -> None:
    """So many runs, one after the other."""
    for number in range(int(runs)):
        place = os.path.join(folder, str(number))  # noqa: PTH118 - pathlib is no bare interpreter
        os.mkdir(place)  # noqa: PTH102
        for index, size in enumerate(sizes):
            name = os.path.join(place, str(index))  # noqa: PTH118
            if index < _TASKS:
                _in_a_fork(name, int(size))
            else:
                _put(name, int(size))
        print(time.monotonic(), flush=True)


def _in_a_fork(name: str, size: int) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _put(name, size)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"a bare child ended with status {status}")


def _put(name: str, size: int) -> None:
    beside = f"{name}.tmp"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, b"x" * size)
    os.fsync(descriptor)
    os.close(descriptor)
    os.link(beside, name)
    os.unlink(beside)  # noqa: PTH108
    folder = os.open(os.path.dirname(name), os.O_RDONLY)  # noqa: PTH120
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
