"""A task of a long linear flow, and one of a wide foreach, beside those of stock Metaflow 2.19.

One source, two imports: both are started as `python flow.py run`, each with a store in a folder
of its own, in turns. Every task keeps when its first line was reached: in the linear flow the
time from one to the next is what a task costs; of the foreach it is the time from the first item
to the last, shared among all. Another process then reads all artifacts with the client, and sees
that each task was a process of its own.

Metaflow gets an environment of its own, made on demand beside the servers of the tests, and kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

from benchmarks.figure import Figure, NotToBeHad, times_ms
from benchmarks.place import temporary_folder
from tests.servers.provision import cache_folder

__all__ = ["measure"]

_METAFLOW = "2.19"
_STEPS, _ITEMS = 50, 1000
_NOTES = ("self.reached_at = time.time()", "self.pid = os.getpid()")
_WIDE = ("--max-num-splits", str(_ITEMS))
_PATIENCE_S = 1200
_READER = """\
import json
from {library} import Flow, namespace
namespace(None)
tasks = [task.data for step in Flow("Bench").latest_run for task in step]
print(json.dumps([[data.reached_at, data.pid] for data in tasks if "pid" in data]))
"""


def measure(*, runs: int) -> Iterator[Figure]:
    """Over the tasks of so many runs of each, after one that warms up; of the foreach one run.

    Raises:
        NotToBeHad: Metaflow cannot be installed here.
    """
    python = _environment(cache_folder() / f"metaflow-{_METAFLOW}")
    peer = f"stock Metaflow {_METAFLOW}"
    with temporary_folder() as folder:
        systems = (
            _System("eventflow", Path(sys.executable), folder / "ours"),
            _System("metaflow", python, folder / "theirs"),
        )
        for each in systems:
            each.lay_down()
            each.run("line.py", _STEPS)
        taken = [
            [_between(system.run("line.py", _STEPS)) for system in systems] for _ in range(runs)
        ]
        wide = [_shared(system.run("wide.py", _ITEMS)) for system in systems]
    ours, theirs = (times_ms(chain(*times)) for times in zip(*taken, strict=True))
    name = f"a task of a flow of {_STEPS} steps, `python flow.py run`"
    yield Figure("beside_metaflow", "local store", name, ours, peer, theirs)
    ours, theirs = (times_ms([each]) for each in wide)
    name = f"an item of a foreach of {_ITEMS:,}, `python flow.py run`"
    yield Figure("beside_metaflow", "local store", name, ours, peer, theirs)


def _between(reached: list[float]) -> list[float]:
    """Seconds of each task of a line but the last, which nothing follows."""
    return [after - before for before, after in pairwise(reached)]


def _shared(reached: list[float]) -> float:
    return (reached[-1] - reached[0]) / (len(reached) - 1)


@dataclass(frozen=True, slots=True)
class _System:
    """A library, the interpreter that has it, and the folder in which it works."""

    library: str
    python: Path
    folder: Path

    def lay_down(self) -> None:
        """The flows and what reads them."""
        self.folder.mkdir()
        (self.folder / "line.py").write_text(_line(self.library))
        (self.folder / "wide.py").write_text(_wide(self.library))
        (self.folder / "read.py").write_text(_READER.format(library=self.library))

    def run(self, file: str, tasks: int) -> list[float]:
        """When each task of a run reached its first line, in the order of time."""
        self._python(file, "run", *([] if file == "line.py" else _WIDE))
        found = json.loads(self._python("read.py").splitlines()[-1])
        pids = {pid for _, pid in found}
        if len(pids) != tasks:
            raise RuntimeError(f"{self.library}: {len(pids)} processes ran {tasks} tasks")
        return sorted(at for at, _ in found)

    def _python(self, *words: str) -> str:
        done = subprocess.run(
            [self.python, *words],
            cwd=self.folder,
            env={**os.environ, **self._settings()},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.library}: {' '.join(words)} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def _settings(self) -> dict[str, str]:
        """State in the folder, whatever this machine has set up for either."""
        return {
            "HOME": str(self.folder),
            "EVENTFLOW_HOME": str(self.folder / "state"),
            "EVENTFLOW_USER": "bench",
            "METAFLOW_HOME": str(self.folder),
            "METAFLOW_USER": "bench",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(self.folder),
        }


def _line(library: str) -> str:
    names = ["start", *(f"step_{number}" for number in range(1, _STEPS - 1)), "end"]
    steps = [
        _step(name, *_NOTES, *([f"self.next(self.{after})"] if after else []))
        for name, after in zip(names, [*names[1:], ""], strict=True)
    ]
    return _source(library, steps)


def _wide(library: str) -> str:
    steps = [
        _step(
            "start", f"self.items = list(range({_ITEMS}))", "self.next(self.item, foreach='items')"
        ),
        _step("item", *_NOTES, "self.next(self.join)"),
        _step("join(self, inputs)", "self.next(self.end)"),
        _step("end", "pass"),
    ]
    return _source(library, steps)


def _step(name: str, *body: str) -> str:
    head = name if name.endswith(")") else f"{name}(self)"
    return "\n".join(["    @step", f"    def {head}:", *(f"        {line}" for line in body)])


def _source(library: str, steps: list[str]) -> str:
    head = ["import os, time", f"from {library} import FlowSpec, step", "class Bench(FlowSpec):"]
    return "\n".join([*head, *steps, "if __name__ == '__main__':", "    Bench()", ""])


def _environment(folder: Path) -> Path:
    """The interpreter of an environment that has Metaflow; what is there already is whole."""
    python = folder / "bin" / "python"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
            made = Path(scratch) / folder.name
            _install([sys.executable, "-m", "venv", str(made)])
            pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _install([*pip, f"metaflow=={_METAFLOW}.*"])
            made.rename(folder)
    return python


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotToBeHad(f"Metaflow {_METAFLOW} cannot be installed: {' '.join(last)}")
