"""Who dies with whom: adopted orphans, parents that take their children along, killed groups.

On Linux (prctl(2)) a process can adopt the orphans among its descendants, and ask for a signal
when its parent dies. Elsewhere both do nothing: there, EOF on a socket says that the parent is
gone, and only the process groups of tasks are killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

__all__ = [
    "adopt_orphans",
    "children",
    "die_with",
    "interrupt",
    "kill",
    "kill_children",
    "oom_kills",
    "reap",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_THREADS = "/proc/self/task"
# Looked up when this is imported, by the template: a task that did it would write to a hundred
# pages more that it shares with its template.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (a child does not inherit it)."""
    _set(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int, number: signal.Signals) -> None:
    """Get the signal when the thread of `parent` that made this process ends, or ends already."""
    _set(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        signal.raise_signal(number)


def children() -> set[int]:
    """The processes whose parent this one is, zombies included."""
    found: set[int] = set()
    for thread in _threads():
        # Threads may end meanwhile. Plain files, no pathlib: a template asks for every task.
        with (
            suppress(FileNotFoundError, ProcessLookupError),
            open(f"{_THREADS}/{thread}/children", "rb", buffering=0) as listing,  # noqa: PTH123
        ):
            found.update(map(int, listing.readall().split()))
    return found


def interrupt(pid: int) -> None:
    """SIGINT to all of the group that a child leads, as Ctrl-C in a terminal."""
    with suppress(ProcessLookupError, PermissionError):  # it leads no group (yet)
        os.killpg(pid, signal.SIGINT)


def kill(pid: int) -> None:
    """SIGKILL a child that is not reaped yet, and all of the group that it leads."""
    with suppress(ProcessLookupError, PermissionError):  # it leads no group (yet)
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reap(pid: int) -> int | None:
    """The wait status of a child that ended, None while it runs. Kills what is left of its group.

    On Linux the group is killed while the zombie still holds its number, so nobody else has it.
    """
    if sys.platform == "linux":
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        kill(pid)
    ended, status = os.waitpid(pid, os.WNOHANG)
    return status if ended else None


def kill_children(patience: timedelta, *, spare: Collection[int] = ()) -> None:
    """Kill all descendants, orphans as they come up, until none is left or patience ends."""
    deadline = time.monotonic() + patience.total_seconds()
    while left := children() - set(spare):
        for pid in left:
            kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            return
        time.sleep(0.001)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory, since it booted (proc(5))."""
    with suppress(OSError), open("/proc/vmstat", "rb") as counters:  # noqa: PTH123
        for line in counters:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def _threads() -> list[str]:
    try:
        return os.listdir(_THREADS)  # noqa: PTH208
    except FileNotFoundError:  # no /proc
        return []


def _set(option: int, value: int) -> None:
    if _prctl is not None:
        _prctl(option, value, 0, 0, 0)
