"""Runs the flows of the matrix as their user does, each graph once, and looks by the client."""

from __future__ import annotations

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
from tests.support.cluster import Cluster

__all__ = ["Played", "Stage"]


@dataclass(frozen=True)
class Played:
    """A command that has run a flow. `folder` has what its steps left besides."""

    shape: Shape
    run_id: str
    folder: Path
    done: subprocess.CompletedProcess[str]

    @cached_property
    def run(self) -> Run:
        """The run, in the world of the test."""
        return Run(f"default/user.ada/Matrix/{self.run_id}")

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

    def _once(self, what: str, shape: Shape, *words: str) -> Played:
        key = what, shape.name
        if key not in self._played:
            self._played[key] = self._run(what, shape, *words)
        return self._played[key]

    def _run(self, what: str, shape: Shape, *words: str) -> Played:
        left_behind = self.folder / f"{what}-{shape.name}"
        left_behind.mkdir()
        given = [word for name, (text, _) in PARAMETERS.items() for word in (f"--{name}", text)]
        words = ("run", "--folder", str(left_behind), *given, *words)
        return self.play(shape, left_behind, *words)

    def play(self, shape: Shape, left_behind: Path, *words: str) -> Played:
        """Run a command of the flow that makes a run."""
        id_file = left_behind / "run-id"
        done = self.cluster.flow(
            self.file(shape), *words, "--run-id-file", str(id_file), check=False
        )
        assert id_file.exists(), done.stderr
        return Played(shape, id_file.read_text(), left_behind, done)

    @property
    def cluster(self) -> Cluster:
        """Where commands run."""
        return Cluster(self.env, self.folder)

    def file(self, shape: Shape) -> Path:
        """The flow's file."""
        path = self.folder / shape.name / "matrix.py"
        if not path.exists():
            path.parent.mkdir()
            path.write_text(source(shape))
        return path
