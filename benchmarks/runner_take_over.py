"""From SIGKILL of a runner to the first line of user code in the next epoch of its run.

Two runners, and a run that waits in its first step. The runner that executes it is killed; the
other takes the run over. On one host it sees that the process is gone, and waits only for the
partition, which is to say for the session; a runner elsewhere waits for the lease. Elsewhere is a
host name of its own, where the system lets one give it (Linux, as root); otherwise it is left out.
"""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.figure import Figure, Goal
from benchmarks.place import Place
from benchmarks.take_over import (
    GETTING_READY_S,
    PATIENCE_S,
    SETTLED_S,
    Clocks,
    clocks_on,
    figure,
    installed,
)
from eventflow import Event
from tests.servers.processes import ServerProcess
from tests.support.cluster import EVENTFLOW, Cluster
from tests.support.eventually import eventually

__all__ = ["measure"]

_FLOW = Path(__file__).parent / "flows" / "wait.py"
_Start: TypeAlias = Callable[[Cluster], None]
_ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"')
_AFTER_THE_LEASE = timedelta(seconds=10)  # guarantee 5 of docs/design.md


def measure(place: Place, *, kills: int) -> Iterator[Figure]:
    """So many kills, with the default clocks, and where they are settings with short ones."""
    for clocks in clocks_on(place):
        seconds = _killed(installed(place, clocks, "here"), kills, _start)
        bound = ("session of", clocks.session)
        yield figure(place, "runner, successor on its host", seconds, bound, _goal(clocks))
        if _can_be_elsewhere():
            seconds = _killed(installed(place, clocks, "elsewhere"), kills, _start_elsewhere)
            bound = ("lease of", clocks.lease)
            yield figure(place, "runner, successor elsewhere", seconds, bound, _goal(clocks))


def _goal(clocks: Clocks) -> Goal:
    return Goal("p99", (clocks.lease + _AFTER_THE_LEASE) / timedelta(milliseconds=1))


def _killed(place: Place, kills: int, start: _Start) -> list[float]:
    """Seconds of each."""
    with place.cluster() as cluster, place.connected():
        cluster.start("trigger-service")
        eventually(lambda: cluster.flow(_FLOW, "deploy"), timeout=GETTING_READY_S)
        start(cluster)
        return [_kill_one(cluster, _begun(cluster, place.folder, start)) for _ in range(kills)]


def _begun(cluster: Cluster, folder: Path, start: _Start) -> _Waiting:
    """A run that waits in its first step, with two runners there."""
    start(cluster)
    time.sleep(SETTLED_S)
    run = _Waiting(folder / "runs" / secrets.token_hex(4))
    run.folder.mkdir(parents=True)
    payload = {"number": 0, "folder": str(run.folder)}
    Event("awaited", payload, project="default", branch="prod").publish()
    eventually(run.reached, timeout=PATIENCE_S)
    return run


def _kill_one(cluster: Cluster, run: _Waiting) -> float:
    """Kills the runner that executes the run, and lets the run end under the other."""
    ((_, task),) = run.reached()
    above = {each.pid for each in psutil.Process(task).parents()}
    (victim,) = (each for each in cluster.processes if each.pid in above)
    at = time.time_ns()
    cluster.kill(victim)
    _, (again_at, _) = eventually(lambda: run.reached(2), timeout=PATIENCE_S)
    run.let_end()
    return (again_at - at) / 1e9


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A run of the flow `Wait`, and the folder in which it leaves its marks."""

    folder: Path

    def reached(self, times: int = 1) -> list[tuple[int, int]]:
        """When its first step was reached, and in which process; empty until it was so often."""
        text = (self.folder / "0").read_text()
        lines = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [(int(at), int(pid)) for at, pid in lines] if len(lines) >= times else []

    def let_end(self) -> None:
        """Its first step need not wait any longer."""
        (self.folder / "0-may-end").touch()


def _start(cluster: Cluster) -> None:
    cluster.start("runner")


def _start_elsewhere(cluster: Cluster) -> None:
    """A runner on a host of its own name."""
    host = f"host-{secrets.token_hex(4)}"
    folder = cluster.folder / host
    folder.mkdir()
    command = [*_ELSEWHERE, host, EVENTFLOW, "runner", "--metrics-port", "0"]
    cluster.processes.append(ServerProcess("runner", command, folder, cluster.env))


def _can_be_elsewhere() -> bool:
    try:
        done = subprocess.run([*_ELSEWHERE, "elsewhere", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0
