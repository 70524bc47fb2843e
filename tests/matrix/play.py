"""Runs the flows of the matrix as their user does, each graph once, and looks by the client."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from eventflow.client.run import Run
from eventflow.client.task import Task
from eventflow.context import World
from tests.matrix.features import PARAMETERS, source
from tests.matrix.shapes import Shape

__all__ = ["Played", "Stage"]


@dataclass(frozen=True)
class Played:
    """A run of a flow, and the command that made it. `folder` has what its steps left besides."""

    file: Path
    run_id: str
    folder: Path
    done: subprocess.CompletedProcess[str]
    namespace: str = "default/user.ada"

    @cached_property
    def run(self) -> Run:
        """The run, in the world of the test."""
        return Run(f"{self.namespace}/Matrix/{self.run_id}")

    @property
    def is_requested(self) -> bool:
        """Whether a runner has executed it: the command has printed nothing of it then."""
        return self.run.version > 0

    def tasks(self, step: str) -> dict[str, Task]:
        """The tasks of a step by their ids."""
        return {task.id: task for task in self.run[step].tasks()}

    def values(self, step: str, name: str) -> list[Any]:
        """An artifact of each task of a step."""
        return [getattr(task.data, name) for task in self.tasks(step).values()]

    @property
    def ran(self) -> list[str]:
        """`step/task` of the attempts that came through, whichever run they were of."""
        return (self.folder / "ran").read_text().splitlines()


@dataclass
class Stage:
    """A place where the flows run: `env` says which store and which state folder."""

    folder: Path
    env: Mapping[str, str]
    world: World
    _played: dict[tuple[str, str], Played] = field(default_factory=dict)

    def finished(self, shape: Shape) -> Played:
        """The run of that graph that goes through."""
        return self._once("finished", shape)

    def failed(self, shape: Shape) -> Played:
        """The run of that graph whose last task of `work` fails for good."""
        return self._once("failed", shape, "--fails", "true")

    def resumed(self, shape: Shape) -> Played:
        """The run that goes on from the failed one, which fails no more."""
        key = "resumed", shape.name
        if key not in self._played:
            failed = self.failed(shape)
            (failed.folder / "mended").touch()
            self._played[key] = self.resume(failed)
        return self._played[key]

    def resume(self, played: Played, *words: str) -> Played:
        """Go on from a run."""
        words = ("resume", *words, "--origin-run-id", played.run_id)
        return self.play(played.file, played.folder, *words)

    def flow(self, source: str, *words: str, patience: float = 110) -> Played:
        """Run another flow than those of the matrix; it is called `Matrix` too, and has a
        parameter `folder`. `patience` is in seconds."""
        left_behind = self.folder / f"flow-{secrets.token_hex(4)}"
        left_behind.mkdir()
        file = left_behind / "flow.py"
        file.write_text(source)
        words = ("run", "--folder", str(left_behind), *words)
        return self.play(file, left_behind, *words, patience=patience)

    def play(self, file: Path, left_behind: Path, *words: str, patience: float = 110) -> Played:
        """Run a command of a flow that makes a run."""
        id_file = left_behind / "run-id"
        id_file.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, str(file), *words, "--run-id-file", str(id_file)],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
        assert id_file.exists(), done.stderr
        return Played(file, id_file.read_text(), left_behind, done)

    def file(self, shape: Shape) -> Path:
        """The file of the flow of that graph."""
        path = self.folder / shape.name / "matrix.py"
        if not path.exists():
            path.parent.mkdir()
            path.write_text(source(shape))
        return path

    def _once(self, what: str, shape: Shape, *words: str) -> Played:
        key = what, shape.name
        if key not in self._played:
            left_behind = self.left_behind(what, shape)
            given = [word for name, (text, _) in PARAMETERS.items() for word in (f"--{name}", text)]
            tags = ("--tag", what, "--tag", shape.name)
            words = ("run", "--folder", str(left_behind), *tags, *given, *words)
            self._played[key] = self.play(self.file(shape), left_behind, *words)
        return self._played[key]

    def left_behind(self, what: str, shape: Shape) -> Path:
        """A new folder for what the steps of a run leave."""
        folder = self.folder / f"{what}-{shape.name}"
        folder.mkdir()
        return folder
