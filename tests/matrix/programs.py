"""Stages on which the flows run through the Python APIs: by `Runner`, and by `Deployer`."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from eventflow import Deployer, Runner
from tests.matrix.features import PARAMETERS
from tests.matrix.play import Played, Stage
from tests.matrix.shapes import Shape

__all__ = ["DeployerStage", "RunnerStage"]

_GIVEN = {name: value for name, (_, value) in PARAMETERS.items()}


@dataclass
class RunnerStage(Stage):
    """Where flows are run from a program."""

    def finished(self, shape: Shape) -> Played:
        key = "finished", shape.name
        if key not in self._played:
            folder = self.left_behind("finished", shape)
            with Runner(self.file(shape), show_output=False, env=self.env) as runner:
                run = runner.run(folder=str(folder), tags=["finished", shape.name], **_GIVEN)
                done = subprocess.CompletedProcess([], run.returncode or 0, run.stdout, run.stderr)
                self._played[key] = Played(self.file(shape), run.run.id, folder, done)
        return self._played[key]


@dataclass
class DeployerStage(Stage):
    """Where flows are deployed from a program, and requested; a runner runs beside it."""

    def finished(self, shape: Shape) -> Played:
        key = "finished", shape.name
        if key not in self._played:
            folder = self.left_behind("finished", shape)
            with Deployer(self.file(shape), show_output=False, env=self.env) as deployer:
                deployed = deployer.eventflow().create(tags=["finished", shape.name])
            run = deployed.trigger(folder=str(folder), **_GIVEN)
            run.wait_for_completion(check_interval=0.1, timeout=110)
            done = subprocess.CompletedProcess([], 0, "", "")
            namespace = run.name.removesuffix(f"/{run.pathspec}")
            self._played[key] = Played(self.file(shape), run.run_id, folder, done, namespace)
        return self._played[key]
