"""`python -m benchmarks.task_profile`: what a trivial task costs in processor time and calls.

Needs strace. Counts are differences between many runs of the long linear flow and one, so that
what happens once does not count. The table takes the place of the former one in
docs/performance.md.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.document import DOCUMENT, between
from benchmarks.line import STEPS, lines
from benchmarks.place import temporary_folder
from eventflow.settings import Settings

__all__ = ["main"]

_FEW, _MANY = 1, 11
_TASKS = (_MANY - _FEW) * STEPS
_CALLS = 3  # the column of strace that counts them
_SHOWN = ("fsync", "openat", "mkdir", "link", "unlinkat", "unlink")
_BEGIN = "<!-- task: written by python -m benchmarks.task_profile -->"
_END = "<!-- end of the task -->"


def main() -> None:
    """Measures, and writes the table."""
    table = _table()
    DOCUMENT.write_text(between(DOCUMENT.read_text(encoding="utf-8"), _BEGIN, _END, table))
    print(table)


def _table() -> str:
    rows = ["\n| of one task | |\n| --- | --: |\n"]
    for name, value in _used().items():
        rows.append(f"| {name} | {value:,.2f} |\n")
    few, many = (_calls(runs) for runs in (_FEW, _MANY))
    each = {name: (many[name] - few.get(name, 0)) / _TASKS for name in many}
    rows.append(f"| system calls | {each.pop('total'):,.1f} |\n")
    rows += [f"| … `{name}` | {each[name]:,.1f} |\n" for name in _SHOWN if name in each]
    return "".join([*rows, "\n"])


def _used() -> Mapping[str, float]:
    """Processor time and page faults, without strace."""
    few, many = (_python(str(runs)) for runs in (_FEW, _MANY))
    names = (
        "ms of user code and library, in task processes",
        "ms of the system, in task processes",
        "ms of both, in the process that drives the run",
        "page faults",
    )
    found = zip(names, few.split(), many.split(), strict=True)
    return {name: (float(after) - float(before)) / _TASKS for name, before, after in found}


def _calls(runs: int) -> dict[str, int]:
    with temporary_folder() as folder:
        counts = folder / "counts"
        _python(str(runs), under=("strace", "-f", "-c", "-o", str(counts)))
        rows = [line.split() for line in counts.read_text().splitlines()]
    # share of time, seconds, microseconds a call, calls, perhaps errors, name
    return {name: int(calls) for _, _, _, calls, *_, name in filter(_is_count, rows)}


def _is_count(row: list[str]) -> bool:
    return len(row) > _CALLS + 1 and row[_CALLS].isdigit()


def _python(*words: str, under: tuple[str, ...] = ()) -> str:
    command = [*under, sys.executable, "-m", "benchmarks.task_profile", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _run(runs: int) -> None:
    """So many runs, and what they used, all children included."""
    with temporary_folder() as name, lines(Path(name), Settings(home=Path(name) / "s")) as line:
        for number in range(1, runs + 1):
            line.run(number)
    here = resource.getrusage(resource.RUSAGE_SELF)
    there = resource.getrusage(resource.RUSAGE_CHILDREN)
    driving = here.ru_utime + here.ru_stime
    print(there.ru_utime * 1000, there.ru_stime * 1000, driving * 1000, there.ru_minflt)


if __name__ == "__main__":
    if sys.argv[1:]:
        _run(int(sys.argv[1]))
    else:
        main()
