"""Somebody who writes one flow and runs it through its command line, on the embedded default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent

import pytest

from eventflow import Flow, Run, app, context
from eventflow.settings import Settings
from tests.support.cluster import Cluster

__all__ = ["Reader", "reader"]

HEADER = "import os, subprocess, sys, time\nfrom eventflow import *\n"
MAIN = "\nif __name__ == '__main__':\n    F()\n"


@dataclass
class Reader:
    """Somebody with an empty folder, a flow in it, and a command line."""

    folder: Path
    cluster: Cluster

    def write(self, source: str) -> Path:
        """Write the flow, whose class is `F`."""
        file = self.folder / "flow.py"
        file.write_text(HEADER + dedent(source) + MAIN)
        return file

    def run(self, source: str, *options: str) -> CompletedProcess[str]:
        """Run a flow by hand."""
        return self.flow(self.write(source), "run", *options)

    def flow(self, file: Path, *words: str) -> CompletedProcess[str]:
        """`python flow.py …`, however it ends."""
        return self.cluster.flow(file, *words, check=False)

    @property
    def home(self) -> Path:
        return Path(self.cluster.env["EVENTFLOW_HOME"])

    @property
    def latest(self) -> Run:
        return next(iter(Flow("F")))

    def files_with(self, text: str) -> list[Path]:
        """Files below the state folder that have these bytes."""
        files = (path for path in self.home.rglob("*") if path.is_file())
        return [path for path in files if text.encode() in path.read_bytes()]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    for name in [name for name in os.environ if name.startswith("EVENTFLOW_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "state"
    cluster = Cluster({"EVENTFLOW_HOME": str(home), "EVENTFLOW_USER": "ada"}, tmp_path)
    world = app.connect(Settings(home=home))
    with context.using(world):
        yield Reader(tmp_path, cluster)
    world.close()
    cluster.stop()
