"""What the kernel says of processes, read from /proc: their state, their start, their children.

A process is named by its pid and its start, so that a number given again is not taken for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_STOPPED = "T"
_GONE = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for ever: nobody else has its pid and its start."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether it is there, and not only waits to be reaped."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started and found[0] not in _GONE

    @property
    def is_stopped(self) -> bool:
        """Whether it is there and was stopped by a signal."""
        found = _stat(self.pid)
        return found == (_STOPPED, self.started)

    def children(self) -> set[Process]:
        """Its children, as of now; none once it is gone."""
        if not self.is_alive:
            return set()
        pids: set[int] = set()
        for listing in Path(f"/proc/{self.pid}/task").glob("*/children"):
            pids.update(map(int, _text(listing).split()))
        found = (process(pid) for pid in pids)
        return {each for each in found if each is not None}


def process(pid: int) -> Process | None:
    """The process that has that pid now; None when there is none."""
    found = _stat(pid)
    return None if found is None else Process(pid, found[1])


def boot_time() -> float:
    """Seconds of the clock that never jumps, and counts while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _stat(pid: int) -> tuple[str, str] | None:
    """(state, start) of proc(5); None when there is no such process."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""
