"""Deploying and triggering from a program, by hand: `Deployer`, `DeployedFlow`, `trigger`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eventflow import DeployedFlow, Deployer, Flow, Run, Runner, requesting
from eventflow.context import World
from eventflow.errors import (
    CommandFailed,
    InvalidOption,
    InvalidParameter,
    InvalidSettings,
    NotFound,
    TimedOut,
    UnknownProvider,
)
from eventflow.model.run import RunState
from tests.acceptance.installation import Installation
from tests.servers.processes import ServerProcess
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = {"EVENTFLOW_RUNNER__GRACE": "1"}
PATIENCE = 90
FLOW = """
import time
from pathlib import Path

from eventflow import FlowSpec, JSONType, Parameter, current, step


class {name}(FlowSpec):
    number = Parameter("number", type=int, required=True)
    gate = Parameter("gate", default="")
    more = Parameter("more", type=JSONType, default={{"a": 1}})

    @step
    def start(self):
        print("begins", flush=True)
        while self.gate and not Path(self.gate).exists():
            time.sleep(0.02)
        self.doubled = self.number * 2
        self.was_triggered = current.trigger is not None
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    {name}()
"""


@pytest.fixture
def world(lasting_installation: Installation) -> Iterator[World]:
    """Connected to the installation, whose trigger service runs."""
    cluster = lasting_installation.cluster
    if not cluster.processes:
        cluster.start("trigger-service")
    with lasting_installation.connected() as connected:
        yield connected


def _flow(folder: Path, name: str) -> Path:
    file = folder / f"{name.lower()}.py"
    file.write_text(FLOW.format(name=name))
    return file


@pytest.fixture
def runner(lasting_installation: Installation, world: World) -> Iterator[None]:
    """A runner, for this test only."""
    process = lasting_installation.cluster.start("runner")
    yield
    _leave(lasting_installation.cluster, process)


def _leave(cluster: Cluster, process: ServerProcess) -> None:
    """Let a runner go in good order: its partitions are free at once."""
    leaving = psutil.Process(process.pid)
    leaving.terminate()
    psutil.wait_procs([leaving], timeout=PATIENCE)
    cluster.kill(process)


def test_a_flow_is_deployed_found_triggered_and_deleted(
    lasting_installation: Installation,
    world: World,
    runner: None,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Deployer(_flow(tmp_path, "Whole"), branch="b") as deployer:
        deployed = deployer.eventflow().create(package_suffixes=[".csv"])

    assert "Whole version 1 is deployed in default/test.b." in capfd.readouterr().out
    assert (deployed.name, deployed.version) == ("default/test.b/Whole", 1)
    assert DeployedFlow.from_deployment("Whole") == deployed
    assert DeployedFlow.from_deployment(deployed.name) == deployed
    assert DeployedFlow.list_deployed_flows("Whole") == [deployed]
    assert deployed in DeployedFlow.list_deployed_flows()
    assert list(deployed.runs()) == []

    triggered = deployed.trigger(number=21, more=[1, 2])
    run = triggered.wait_for_run(check_interval=0.1, timeout=PATIENCE)

    assert triggered.wait_for_completion(check_interval=0.1, timeout=PATIENCE) == "succeeded"
    assert (run.namespace, run.pathspec) == ("default/test.b", triggered.pathspec)
    assert (run.version, run.trigger) == (1, None)
    assert (run["start"].task.data.doubled, run.data.more) == (42, [1, 2])
    assert not run.data.was_triggered
    assert list(deployed.runs()) == [run]
    assert DeployedFlow.get_triggered_run("Whole", run.id[:8]) == triggered
    _check_one_completion(lasting_installation, run.id, "succeeded")

    deployed.delete()

    assert DeployedFlow.list_deployed_flows("Whole") == []
    with pytest.raises(NotFound, match=r"No version of default/test\.b/Whole is in force"):
        deployed.trigger(number=1)
    with pytest.raises(NotFound, match="No version of Whole is in force: it was deleted"):
        DeployedFlow.from_deployment("Whole")


def test_a_triggered_run_is_queued_until_a_runner_takes_it(
    lasting_installation: Installation, world: World, tmp_path: Path
) -> None:
    deployed = Deployer(_flow(tmp_path, "Waits"), show_output=False).eventflow().create()

    triggered = deployed.trigger(number=1)

    assert (triggered.status, triggered.run, triggered.is_running) == ("queued", None, False)
    assert DeployedFlow.get_triggered_run(deployed.name, triggered.run_id[:8]) == triggered
    with pytest.raises(TimedOut, match=r"Waits/h\w+ did not begin within 0.1 seconds"):
        triggered.wait_for_run(check_interval=0.02, timeout=0.1)
    with pytest.raises(NotFound, match="There is no run default/prod/Waits/hnothing"):
        DeployedFlow.get_triggered_run(deployed.name, "hnothing")
    runner = lasting_installation.cluster.start("runner")
    assert triggered.wait_for_completion(check_interval=0.1, timeout=PATIENCE) == "succeeded"
    _leave(lasting_installation.cluster, runner)


def test_a_run_that_executes_is_terminated_once_and_for_all(
    lasting_installation: Installation, world: World, runner: None, tmp_path: Path
) -> None:
    deployed = Deployer(_flow(tmp_path, "Stopped"), show_output=False).eventflow().create()
    triggered = deployed.trigger(number=1, gate=tmp_path / "never")
    run = triggered.wait_for_run(check_interval=0.1, timeout=PATIENCE)
    by_hand = Runner(tmp_path / "stopped.py", show_output=False).run(number=1).run

    triggered.terminate()
    status = triggered.wait_for_completion(check_interval=0.1, timeout=PATIENCE)
    triggered.terminate()
    lasting_installation.cluster.eventflow("cancel", f"Stopped/{run.id[:8]}")

    assert status == "cancelled"
    assert run.reason.startswith("cancelled by ")
    with pytest.raises(NotFound, match="is run by hand: interrupt its process"):
        requesting.cancel_run(world, by_hand._place)
    assert by_hand.successful
    last = deployed.trigger(number=2)
    assert last.wait_for_completion(check_interval=0.1, timeout=PATIENCE) == "succeeded"
    _check_one_completion(lasting_installation, run.id, "cancelled")


def test_a_run_that_waits_for_a_runner_is_cancelled_without_a_start(
    lasting_installation: Installation, world: World, tmp_path: Path
) -> None:
    cluster = lasting_installation.cluster
    deployed = Deployer(_flow(tmp_path, "Unstarted"), show_output=False).eventflow().create()
    triggered, other = deployed.trigger(number=1), deployed.trigger(number=2)

    dry = cluster.eventflow("cancel", "--dry-run", triggered.name)
    said = cluster.eventflow("cancel", f"Unstarted/{triggered.run_id[:12]}", "--json")
    runner = cluster.start("runner")

    assert triggered.wait_for_completion(check_interval=0.1, timeout=PATIENCE) == "cancelled"
    assert other.wait_for_completion(check_interval=0.1, timeout=PATIENCE) == "succeeded"
    assert "would cancel" in dry.stdout
    assert json.loads(said.stdout)["cancels"] == triggered.pathspec
    assert triggered.run is not None
    assert list(triggered.run.steps()) == []
    _check_one_completion(lasting_installation, triggered.run_id, "cancelled")
    _leave(cluster, runner)


def test_wrong_parameters_request_nothing(
    lasting_installation: Installation, world: World, tmp_path: Path
) -> None:
    deployed = Deployer(_flow(tmp_path, "Strict"), show_output=False).eventflow().create()

    with pytest.raises(InvalidParameter) as caught:
        deployed.trigger(numbr=1, more="{")
    with pytest.raises(InvalidOption, match="number: object is nothing"):
        deployed.trigger(number=object())

    assert "There is no parameter 'numbr'" in str(caught.value)
    assert "Parameter 'number' has to be given" in str(caught.value)
    assert "Parameter 'more'" in str(caught.value)
    assert lasting_installation.history.requests("Strict") == []


def test_an_object_requests_its_own_version_also_after_a_redeploy(
    lasting_installation: Installation, world: World, tmp_path: Path
) -> None:
    file = _flow(tmp_path, "Twice")
    first = Deployer(file, show_output=False).eventflow().create()
    second = Deployer(file, show_output=False).eventflow().create()

    runs = [each.trigger(number=1).run_id for each in (first, second)]

    assert DeployedFlow.from_deployment("Twice").version == 2
    requests = lasting_installation.history.requests("Twice")
    assert {each["run_id"]: each["version"] for each in requests} == {runs[0]: 1, runs[1]: 2}


def test_what_cannot_be_deployed_says_why(world: World, tmp_path: Path) -> None:
    file = _flow(tmp_path, "Wrong")

    with pytest.raises(InvalidOption, match="Wrong deploy has no option 'suffixes'"):
        Deployer(file).eventflow().create(suffixes=".csv")
    with pytest.raises(InvalidOption, match="has no option 'dry_run'"):
        Deployer(file).eventflow().create(dry_run=True)
    with pytest.raises(InvalidOption, match="before a command, has no option 'brunch'"):
        Deployer(file, brunch="b")
    with pytest.raises(UnknownProvider, match=r"has no argo_workflows\(…\): .*\.eventflow\(\)"):
        Deployer(file).argo_workflows()  # type: ignore[attr-defined]
    file.write_text(FLOW.format(name="Wrong").replace("self.end", "self.nowhere"))
    with pytest.raises(CommandFailed, match=r"wrong\.py:\d+: "):
        Deployer(file).eventflow().create()
    assert DeployedFlow.list_deployed_flows("Wrong") == []


def test_a_deploy_into_another_installation_is_not_taken_for_one_of_this(
    world: World, tmp_path: Path
) -> None:
    other = {"EVENTFLOW_TOPIC_PREFIX": f"{world.topics.prefix}other."}
    deployer = Deployer(_flow(tmp_path, "Astray"), show_output=False, env=other)

    with pytest.raises(InvalidSettings, match="not in env= alone"):
        deployer.eventflow().create()


def test_the_command_line_triggers_a_deployed_flow(
    lasting_installation: Installation, world: World, runner: None, tmp_path: Path
) -> None:
    cluster, file = lasting_installation.cluster, _flow(tmp_path, "Spoken")
    cluster.flow(file, "deploy")
    id_file = tmp_path / "id"

    by_file = cluster.flow(file, "trigger", "--number", "1", "--run-id-file", str(id_file))
    by_name = cluster.eventflow("trigger", "default/prod/Spoken", "-p", "number=2", "--json")
    dry = cluster.eventflow("trigger", "Spoken", "-p", "number=3", "--dry-run")

    first, second = id_file.read_text(), json.loads(by_name.stdout)["run_id"]
    assert first in by_file.stdout
    assert "run id" not in dry.stdout
    doubled = {each: _succeeded(each) for each in (first, second)}
    assert doubled == {first: 2, second: 4}
    assert len(list(Flow("Spoken").runs())) == 2


def _succeeded(run_id: str) -> int:
    pathspec = f"default/prod/Spoken/{run_id}"
    eventually(lambda: Run(pathspec).state is RunState.SUCCEEDED, PATIENCE)
    doubled: int = Run(pathspec)["start"].task.data.doubled
    return doubled


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("trigger", "Unheard", "-p", "a=1"), 3, "Unheard is not deployed"),
        (("trigger", "Unheard", "-p", "a"), 2, "is written name=value"),
        (("cancel", "Unheard/habcdefg"), 3, "There is no run Unheard/habcdefg"),
    ],
)
def test_a_trigger_of_nothing_says_so(
    lasting_installation: Installation,
    world: World,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    done = lasting_installation.cluster.eventflow(*words, check=False)

    assert done.returncode == code
    assert message in done.stderr


def _check_one_completion(installation: Installation, run_id: str, outcome: str) -> None:
    def completions() -> list[str]:
        return [
            entry.value["outcome"]
            for entry in installation.history.log.read("events")
            if entry.kind == "Completion" and entry.value["run_id"] == run_id
        ]

    eventually(completions, PATIENCE)
    assert completions() == [outcome]
