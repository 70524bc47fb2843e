"""eventflow's own processes, for tests that kill them: each started as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import ServerProcess

EVENTFLOW = str(Path(sys.executable).parent / "eventflow")


@dataclass
class Cluster:
    """Services with the same settings. `env` is what a user would export."""

    env: Mapping[str, str]
    folder: Path
    processes: list[ServerProcess] = field(default_factory=list)

    def start(self, service: str, **env: str) -> ServerProcess:
        """Start `trigger-service`, `runner` or `up`; it dies with the test run at the latest."""
        place = Path(tempfile.mkdtemp(prefix=f"{service}-", dir=self.folder))
        command = [EVENTFLOW, service, "--metrics-port", "0"]
        process = ServerProcess(service, command, place, {**self.env, **env})
        self.processes.append(process)
        return process

    def kill(self, process: ServerProcess) -> None:
        """SIGKILL, also of one that is stopped: it does not get to run again."""
        self.processes.remove(process)
        process.kill()

    def stop(self) -> None:
        """Kill all that is left."""
        for process in tuple(self.processes):
            self.kill(process)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the installation to its end: `eventflow …`, or `python flow.py …`."""
        done = subprocess.run(
            command,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr}")
        return done

    def eventflow(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`eventflow …`."""
        return self.run(EVENTFLOW, *words, check=check)

    def flow(self, file: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`python flow.py …`."""
        return self.run(sys.executable, str(file), *words, check=check)

    def logs(self) -> str:
        """What the services that still run have said, for the message of a failed test."""
        return "\n".join(
            path.read_text(errors="replace")[-4000:] for path in self.folder.glob("*/server.log")
        )
