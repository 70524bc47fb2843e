"""Whoever is killed at whichever named place between two effects: nothing is lost or doubled."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psutil
import pytest

from eventflow import Flow
from eventflow.deploy import FAULT_POINTS as DEPLOY
from eventflow.errors import NotFound
from eventflow.execution.by_hand import FAULT_POINTS as BY_HAND
from eventflow.execution.driver import FAULT_POINTS as DRIVER
from eventflow.execution.task import FAULT_POINTS as TASK
from eventflow.model.run import RunState
from eventflow.services.runner import FAULT_POINTS as RUNNER
from eventflow.services.trigger import FAULT_POINTS as TRIGGER
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.acceptance.ledger import Ledger
from tests.servers.processes import ServerProcess
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.history import Entry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PARTITIONS = 2
SETTINGS = {
    **SHORT_CLOCKS,
    "EVENTFLOW_PARTITIONS": str(PARTITIONS),
    "EVENTFLOW_RUNNER__SLOTS": "12",
    "EVENTFLOW_RUNNER__LEASE": "10",  # for the one that hangs; one that died is known at once
    "EVENTFLOW_RUNNER__LEASE_MARGIN": "2",
    "EVENTFLOW_RUNNER__GRACE": "1",
    "EVENTFLOW_RUNNER__MAX_TAKE_OVERS": "100",  # one run may be there each time a runner dies
}
FLOWS = Path(__file__).parent / "flows"
DEPLOY_LOAD = (FLOWS / "load.py", "--production", "deploy")
DEPLOY_FOLLOW = (FLOWS / "follow.py", "--production", "deploy")
RUN_BY_HAND = (FLOWS / "load.py", "--branch", "by_hand", "run", "--number", "1")
BY_HAND_IN = "default/test.by_hand"
PRELOADED = 8
REPORTED, SAID_GONE = "runner.reported", "runner.said-gone"


@pytest.fixture(scope="module")
def killed_by_hand(lasting_installation: Installation) -> dict[str, str]:
    """Point → run by hand that was killed there, first of all: one of them is taken for dead
    after half a minute only, which passes while the other tests run."""
    cluster = lasting_installation.cluster
    return {point: _run_by_hand_to(cluster, point) for point in BY_HAND}


@pytest.fixture(scope="module")
def deployed(lasting_installation: Installation, killed_by_hand: dict[str, str]) -> Ledger:
    """Load and Follow are live, and nothing was published yet."""
    assert killed_by_hand.keys() == set(BY_HAND)
    cluster = lasting_installation.cluster
    trigger_service = cluster.start("trigger-service")  # a deploy waits for its echo
    for command in (DEPLOY_LOAD, DEPLOY_FOLLOW):
        cluster.flow(*command)
    _leave(cluster, trigger_service)
    return Ledger(lasting_installation)


@pytest.fixture
def ledger(deployed: Ledger) -> Iterator[Ledger]:
    """As the tests before have left it; they leave no process."""
    with deployed.installation.running(), deployed.installation.connected():
        yield deployed


def test_a_service_killed_at_any_fault_point_loses_and_doubles_nothing(ledger: Ledger) -> None:
    cluster = ledger.installation.cluster
    _preload(ledger)
    rest: list[ServerProcess] = []

    points = [each for each in (*RUNNER, *DRIVER) if each not in (REPORTED, SAID_GONE)]
    for point, of_trigger in zip_longest(points, TRIGGER):
        dying = [cluster.start("runner", EVENTFLOW_FAULT=point)]
        if of_trigger is not None:
            dying.append(cluster.start("trigger-service", EVENTFLOW_FAULT=of_trigger))
        elif not rest:
            rest.append(cluster.start("trigger-service"))
        # A payload that does not fit into a request goes to the store first.
        ledger.publish(filler="x" * 300_000 if of_trigger == "trigger.stored" else "")
        for each in dying:
            _await_death(cluster, each, f"{point}, {of_trigger}")
    rest.append(cluster.start("runner"))

    ledger.settle()
    _leave(cluster, *rest)


def _preload(ledger: Ledger) -> None:
    """Have requests wait for the runners that die, whatever becomes of the trigger services."""
    trigger_service = ledger.installation.cluster.start("trigger-service")
    for _ in range(PRELOADED):
        ledger.publish()
    eventually(lambda: ledger.runs().keys() >= ledger.outcomes.keys(), 60, "not all are requested")
    _leave(ledger.installation.cluster, trigger_service)


def test_a_deploy_killed_at_any_fault_point_has_changed_everything_or_nothing(
    ledger: Ledger,
) -> None:
    cluster = ledger.installation.cluster
    version = _highest_version(ledger)
    expected: dict[str, int] = {}

    for point in DEPLOY:
        done = _dying(cluster, point).flow(*DEPLOY_LOAD, check=False)
        assert done.returncode == -signal.SIGKILL
        version += point == "deploy.committed"
        expected[ledger.publish()] = version
    services = [cluster.start("trigger-service"), cluster.start("runner")]
    cluster.flow(*DEPLOY_LOAD)
    expected[ledger.publish()] = version + 1

    ledger.settle()
    versions = {each["run_id"]: each["version"] for each in _requests(ledger)}
    runs = ledger.runs()
    assert {offset: versions[runs[offset]] for offset in expected} == expected
    _leave(cluster, *services)


def _requests(ledger: Ledger) -> list[dict[str, Any]]:
    return ledger.installation.history.requests("Load")


def _highest_version(ledger: Ledger) -> int:
    entries = ledger.installation.history.log.read("deployments")
    return max(int(each.value["version"]) for each in entries if each.value["flow"] == "Load")


def test_an_attempt_killed_at_any_fault_point_counts_once_it_is_recorded(ledger: Ledger) -> None:
    cluster = ledger.installation.cluster
    trigger_service = cluster.start("trigger-service")

    for point in TASK:
        runner = cluster.start("runner", EVENTFLOW_FAULT=point)  # handed on to its tasks
        ledger.publish("succeeded" if point == "task.recorded" else "failed")
        ledger.settle()
        _leave(cluster, runner)

    _leave(cluster, trigger_service)


def test_a_runner_killed_when_it_has_told_another_of_an_end_leaves_it_to_the_other(
    ledger: Ledger, tmp_path: Path
) -> None:
    cluster = ledger.installation.cluster
    trigger_service = cluster.start("trigger-service")
    dying = _started_runner(cluster, EVENTFLOW_FAULT=REPORTED)
    gate = tmp_path / "gate"

    with _closed(gate):
        _hold(ledger, gate, until=lambda: len(_partitions(ledger)) == PARTITIONS)
        other = _started_runner(cluster)
        _hold(ledger, gate, until=lambda: len(_runners(ledger)) == 2)
    _await_death(cluster, dying, REPORTED)

    ledger.settle()
    assert ledger.installation.history.log.read("run-reports")
    _leave(cluster, trigger_service, other)


def test_a_runner_killed_when_it_has_said_gone_leaves_its_runs_to_the_next(
    ledger: Ledger, tmp_path: Path
) -> None:
    cluster = ledger.installation.cluster
    trigger_service = cluster.start("trigger-service")
    leaving = _started_runner(cluster, EVENTFLOW_FAULT=SAID_GONE)
    gate = tmp_path / "gate"

    with _closed(gate):
        _hold(ledger, gate, until=lambda: _runners(ledger))
        first = _runners(ledger)
        psutil.Process(leaving.pid).terminate()
        _await_death(cluster, leaving, SAID_GONE)
        lapsing = cluster.start("runner", EVENTFLOW_FAULT=SAID_GONE)
        second = eventually(lambda: _runners(ledger) - first, 60, "it is not taken over")
        lapsing.pause()
        last = cluster.start("runner")
        eventually(lambda: _runners(ledger) - first - second, 60, "it is not taken over again")
        lapsing.resume()
        _await_death(cluster, lapsing, SAID_GONE)

    ledger.settle()
    _leave(cluster, trigger_service, last)


def test_a_run_by_hand_killed_at_any_fault_point_is_as_far_as_its_end_says(
    ledger: Ledger, killed_by_hand: dict[str, str]
) -> None:
    by_hand = Flow(f"{BY_HAND_IN}/Load")
    begun, decided, marked = BY_HAND[1:]

    states = {point: by_hand[killed_by_hand[point]].state for point in (decided, marked)}
    _unhurried(ledger.installation.cluster).flow(*RUN_BY_HAND)

    assert states == dict.fromkeys(states, RunState.SUCCEEDED)
    eventually(lambda: by_hand[killed_by_hand[begun]].state is RunState.FAILED, 45)
    with pytest.raises(NotFound):
        by_hand[killed_by_hand["by-hand.mark-put"]]
    latest = by_hand.latest_successful_run
    assert latest is not None
    assert latest.id not in killed_by_hand.values()


def _run_by_hand_to(cluster: Cluster, point: str) -> str:
    """The id of a run by hand that dies at a fault point."""
    dying, told = _dying(cluster, point), cluster.folder / f"{point}.run-id"
    done = dying.flow(*RUN_BY_HAND, "--run-id-file", str(told), check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return told.read_text()


def _dying(cluster: Cluster, point: str) -> Cluster:
    """For commands that kill themselves at a fault point."""
    return _unhurried(cluster, EVENTFLOW_FAULT=point)


def _unhurried(cluster: Cluster, **env: str) -> Cluster:
    """For commands that nobody waits to take over from: their clocks are the default ones."""
    default = {name: value for name, value in cluster.env.items() if name not in SHORT_CLOCKS}
    return Cluster({**default, **env}, cluster.folder)


def _started_runner(cluster: Cluster, **env: str) -> ServerProcess:
    """A runner that says that it runs."""
    said = "eventflow runner is running"
    before = cluster.logs().count(said)
    runner = cluster.start("runner", **env)
    eventually(lambda: cluster.logs().count(said) > before, 60, "the runner does not start")
    return runner


def _await_death(cluster: Cluster, process: ServerProcess, point: str) -> None:
    eventually(
        lambda: not psutil.pid_exists(process.pid),
        timeout=60,
        message=f"nobody was killed at {point}",
    )
    cluster.kill(process)


def _leave(cluster: Cluster, *services: ServerProcess) -> None:
    """Have services leave in good order, so that the next ones need not wait for their sessions."""
    for each in services:
        psutil.Process(each.pid).terminate()
    for each in services:
        _await_death(cluster, each, "SIGTERM")


def _open_runs(ledger: Ledger) -> list[Entry]:
    """The last record of each run that has not ended."""
    entries = ledger.installation.history.log.read("runs")
    last = {each.key: each for each in entries if each.kind == "RunRecord"}
    return [each for each in last.values() if each.value["outcome"] is None]


def _partitions(ledger: Ledger) -> set[int]:
    return {each.partition for each in _open_runs(ledger)}


def _runners(ledger: Ledger) -> set[str]:
    """Who executes something; a run that was released has no runner."""
    return {each.value["runner_id"] for each in _open_runs(ledger)} - {""}


def _hold(ledger: Ledger, gate: Path, *, until: Callable[[], object]) -> None:
    """Publish events whose runs wait at the gate, one after the other, until it is so. Each gets
    a while: the next one takes a slot that nobody gives back."""
    while not until():
        offset = ledger.publish(gate=str(gate))
        eventually(lambda: _is_accepted(ledger, offset), 60, "it is not accepted")  # noqa: B023
        with suppress(AssertionError):
            eventually(until, 4)


def _is_accepted(ledger: Ledger, offset: str) -> bool:
    return ledger.runs().get(offset) in {each.key for each in _open_runs(ledger)}


@contextmanager
def _closed(gate: Path) -> Iterator[None]:
    """Runs wait at the gate until the end of the block."""
    with gate.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
