"""A task of a long linear flow, and one of a wide foreach, beside those of stock Metaflow 2.19.

One source, two imports: both are started as `python flow.py run`, each with a store in a folder
of its own, in turns. Every task keeps when its first line was reached: what a task costs is the
time from the first to the last, shared among all. Another process then reads all artifacts with
the client, and sees that each task was a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figure import Figure, times_ms
from benchmarks.library import METAFLOW, Library, both

__all__ = ["measure"]

_STEPS, _ITEMS = 50, 1000
_NOTES = ("self.reached_at = time.time()", "self.pid = os.getpid()")
_WIDE = ("--max-num-splits", str(_ITEMS))
_READER = """\
import json
from {library} import Flow, namespace
namespace(None)
tasks = [task.data for step in Flow("Bench").latest_run for task in step]
print(json.dumps([[data.reached_at, data.pid] for data in tasks if "pid" in data]))
"""


def measure(*, runs: int) -> Iterator[Figure]:
    """Of the line so many runs of each, after one that warms up; of the foreach one.

    Raises:
        NotToBeHad: Metaflow cannot be installed here.
    """
    files = {"line.py": _line(), "wide.py": _wide(), "read.py": _READER}
    with both(files) as libraries:
        for each in libraries:
            _run(each, "line.py", _STEPS)
        taken = [
            [_shared(_run(each, "line.py", _STEPS)) for each in libraries] for _ in range(runs)
        ]
        wide = [_shared(_run(each, "wide.py", _ITEMS)) for each in libraries]
    ours, theirs = (times_ms(times) for times in zip(*taken, strict=True))
    name = f"a task of a flow of {_STEPS} steps, `python flow.py run`"
    yield Figure("beside_metaflow", "local store", name, ours, METAFLOW, theirs)
    ours, theirs = (times_ms([each]) for each in wide)
    name = f"an item of a foreach of {_ITEMS:,}, `python flow.py run`"
    yield Figure("beside_metaflow", "local store", name, ours, METAFLOW, theirs)


def _shared(reached: list[float]) -> float:
    return (reached[-1] - reached[0]) / (len(reached) - 1)


def _run(library: Library, file: str, tasks: int) -> list[float]:
    """When each task of a run reached its first line, in the order of time."""
    library.run(file, "run", *([] if file == "line.py" else _WIDE))
    found = library.read("read.py")
    pids = {pid for _, pid in found}
    if len(pids) != tasks:
        raise RuntimeError(f"{library.name}: {len(pids)} processes ran {tasks} tasks")
    return sorted(at for at, _ in found)


def _line() -> str:
    names = ["start", *(f"step_{number}" for number in range(1, _STEPS - 1)), "end"]
    steps = [
        _step(name, *_NOTES, *([f"self.next(self.{after})"] if after else []))
        for name, after in zip(names, [*names[1:], ""], strict=True)
    ]
    return _source(steps)


def _wide() -> str:
    steps = [
        _step(
            "start", f"self.items = list(range({_ITEMS}))", "self.next(self.item, foreach='items')"
        ),
        _step("item", *_NOTES, "self.next(self.join)"),
        _step("join(self, inputs)", "self.next(self.end)"),
        _step("end", "pass"),
    ]
    return _source(steps)


def _step(name: str, *body: str) -> str:
    head = name if name.endswith(")") else f"{name}(self)"
    return "\n".join(["    @step", f"    def {head}:", *(f"        {line}" for line in body)])


def _source(steps: list[str]) -> str:
    head = ["import os, time", "from {library} import FlowSpec, step", "class Bench(FlowSpec):"]
    return "\n".join([*head, *steps, "if __name__ == '__main__':", "    Bench()", ""])
