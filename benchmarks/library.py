"""A library for flows, started as its user starts it: eventflow here, stock Metaflow beside it.

Metaflow gets an environment of its own, made on demand beside the servers of the tests, and kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figure import NotToBeHad
from benchmarks.place import temporary_folder
from tests.servers.provision import cache_folder

__all__ = ["METAFLOW", "Library", "both"]

_VERSION = "2.19"
METAFLOW = f"stock Metaflow {_VERSION}"
_PATIENCE_S = 1200


@dataclass(frozen=True, slots=True)
class Library:
    """A library, the interpreter that has it, and the folder in which it works."""

    name: str
    python: Path
    folder: Path

    def lay_down(self, files: Mapping[str, str]) -> None:
        """Files of the folder; `{library}` in them is the name to import from."""
        self.folder.mkdir()
        for name, text in files.items():
            (self.folder / name).write_text(text.replace("{library}", self.name))

    def run(self, *words: str) -> str:
        """What `python <words>` prints.

        Raises:
            RuntimeError: it fails.
        """
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
            raise RuntimeError(f"{self.name}: {' '.join(words)} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def read(self, *words: str) -> Any:
        """What `python <words>` prints in its last line, which is JSON."""
        return json.loads(self.run(*words).splitlines()[-1])

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


@contextmanager
def both(files: Mapping[str, str], *packages: str) -> Iterator[tuple[Library, Library]]:
    """Both libraries with the same files, each in a folder that goes with the context.

    `packages` are in the environment of Metaflow besides.

    Raises:
        NotToBeHad: Metaflow cannot be installed here.
    """
    name = "-".join([f"metaflow-{_VERSION}", *packages])
    python = _environment(cache_folder() / name, [f"metaflow=={_VERSION}.*", *packages])
    with temporary_folder() as folder:
        ours = Library("eventflow", Path(sys.executable), folder / "ours")
        theirs = Library("metaflow", python, folder / "theirs")
        for each in (ours, theirs):
            each.lay_down(files)
        yield ours, theirs


def _environment(folder: Path, packages: list[str]) -> Path:
    """The interpreter of an environment that has Metaflow; what is there already is whole."""
    python = folder / "bin" / "python"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
            made = Path(scratch) / folder.name
            _install([sys.executable, "-m", "venv", str(made)])
            pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _install([*pip, *packages])
            made.rename(folder)
    return python


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise NotToBeHad(f"{METAFLOW} cannot be installed: {' '.join(last)}")
