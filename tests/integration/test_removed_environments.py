"""Environments that are removed: never under somebody's feet, never half, and built anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from eventflow import app
from eventflow.cli.main import cli
from eventflow.effects import Effects
from eventflow.errors import Ambiguous, EnvironmentInUse, NotFound
from eventflow.execution.environments.building import Environment, Place, build, find
from eventflow.execution.environments.removing import FAULT_POINTS, clean_up, remove, standing
from eventflow.execution.environments.request import request_of
from eventflow.execution.environments.usage import hold, used_file
from eventflow.execution.file_lock import locked
from eventflow.metrics import RunnerMetrics
from eventflow.model.completion import Outcome
from eventflow.model.policy import Packages
from eventflow.model.task import TaskPlan
from tests.integration.test_steps_with_packages import plan_of
from tests.support.eventually import eventually
from tests.support.flows import Flows, one_step, run_out
from tests.support.package_index import need_package_index

pytestmark = pytest.mark.packages

SIX = Packages({"six": "1.15.0"})
BARE = Packages({})


@dataclass
class Machine:
    """A state folder, with the environments that flows in it have."""

    flows: Flows

    @property
    def cache(self) -> Path:
        return self.flows.home / "cache"

    def _place(self) -> Place:
        return Place(self.cache, self.flows.world().store.url, "shop")

    def build(self, packages: Packages = SIX) -> Environment:
        store = self.flows.world().store
        return build(self._place(), request_of(packages), store, Effects())

    def find(self) -> Environment | None:
        return find(self._place(), request_of(SIX))

    def remove(self, unused_since: datetime | None = None) -> list[bool]:
        return [remove(each, Effects(), unused_since) for each in standing(self.cache)]

    def waiting_task(self) -> TaskPlan:
        """A step that goes on until there is a file `go`, and says that it has begun."""
        body = """
            import six
            pathlib.Path(self.folder, "begun").write_text("yes\\n")
            while not pathlib.Path(self.folder, "go").exists():
                time.sleep(0.01)
            self.six = six.__version__
        """
        source = one_step(body, module="import pathlib")
        return self.flows.task(plan_of(self.flows, source, SIX))

    def command(self, *words: str) -> Result:
        env = {"EVENTFLOW_HOME": str(self.flows.home)}
        return CliRunner().invoke(cli, ["environments", *words], env=env)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    need_package_index()
    flows = Flows(tmp_path)
    yield Machine(flows)
    flows.close()


class TestRemoving:
    def test_leaves_nothing_that_is_found_and_what_is_built_then_is_whole(
        self, machine: Machine
    ) -> None:
        machine.build()

        removed, found, left = machine.remove(), machine.find(), standing(machine.cache)
        again = machine.build()

        assert (removed, found, left) == ([True], None, [])
        assert version_in(again) == "1.15.0"
        assert machine.find() == again

    @pytest.mark.parametrize("point", FAULT_POINTS)
    def test_that_is_killed_in_the_middle_leaves_no_half(
        self, machine: Machine, point: str
    ) -> None:
        folder = Path(machine.build().folder)
        command = [sys.executable, "-m", "tests.support.removal_child", str(machine.cache)]
        killed = subprocess.run(command, env={**os.environ, "EVENTFLOW_FAULT": point}, check=False)

        found = machine.find()
        again = machine.build()

        assert killed.returncode == -signal.SIGKILL
        assert found is None
        assert version_in(again) == "1.15.0"
        assert not folder.with_suffix(".removed").exists()

    def test_finishes_what_was_broken_off_and_leaves_what_is_being_built(
        self, machine: Machine
    ) -> None:
        folder = Path(machine.build().folder)
        halves = [folder.with_suffix(".removed"), folder.with_name("e0").with_suffix(".partial")]
        for half in halves:
            half.mkdir()

        with locked(folder.with_name("e0").with_suffix(".lock")):
            clean_up(machine.cache)

        assert [each.exists() for each in halves] == [False, True]
        assert machine.find() is not None

    def test_leaves_what_somebody_uses_until_the_last_of_them_has_ended(
        self, machine: Machine
    ) -> None:
        descriptor = hold(Path(machine.build().folder))
        assert descriptor is not None
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor]) as user:
            os.close(descriptor)

            while_used = machine.remove()
            user.communicate()

        assert while_used == [False]
        assert machine.remove() == [True]

    def test_leaves_what_is_being_built(self, machine: Machine) -> None:
        folder = Path(machine.build().folder)

        with locked(folder.with_suffix(".lock")):
            removed = machine.remove()

        assert removed == [False]
        assert machine.find() is not None

    def test_leaves_what_was_used_since(self, machine: Machine) -> None:
        now, environment = datetime.now(UTC), machine.build()
        descriptor = hold(Path(environment.folder))
        assert descriptor is not None
        os.close(descriptor)

        removed = [machine.remove(now), machine.remove(now + timedelta(days=1))]

        assert removed == [[False], [True]]

    def test_and_holding_exclude_each_other(self, machine: Machine) -> None:
        folder = Path(machine.build().folder)

        with locked(used_file(folder)):
            while_removed = hold(folder)
        machine.remove()

        assert while_removed is None
        assert hold(folder) is None


class TestBesideTasks:
    def test_a_task_at_work_keeps_its_environment_and_the_next_one_builds_it_anew(
        self, machine: Machine
    ) -> None:
        task, executor = machine.waiting_task(), machine.flows.executor()
        executor.start(task)
        eventually(
            lambda: executor.poll(timedelta()) or (machine.flows.folder / "begun").exists(),
            timeout=60,
            message="the step has not begun",
        )

        while_used = machine.remove()
        (machine.flows.folder / "go").touch()
        (end,) = run_out(executor)
        executor.close()
        after = machine.remove()
        (next_end,) = run_out(machine.flows.executor(), machine.waiting_task())

        assert (while_used, after) == ([False], [True])
        assert [end.outcome, next_end.outcome] == [Outcome.SUCCEEDED] * 2, next_end.reason

    def test_a_removed_environment_that_an_executor_knows_is_built_anew(
        self, machine: Machine
    ) -> None:
        (machine.flows.folder / "go").touch()
        executor = machine.flows.executor(templates=1)
        run_out(executor, machine.waiting_task())
        without = machine.flows.plan(machine.flows.code(one_step("pass")))

        run_out(executor, machine.flows.task(without))  # the one template is another one now
        removed = machine.remove()
        (end,) = run_out(executor, machine.waiting_task())

        assert removed == [True]
        assert end.outcome is Outcome.SUCCEEDED, end.reason

    def test_builds_are_counted_with_their_time(self, machine: Machine) -> None:
        (machine.flows.folder / "go").touch()
        registry = CollectorRegistry()
        executor = app.local_executor(machine.flows.world(), metrics=RunnerMetrics(registry))
        machine.flows.executors.append(executor)
        wrong = plan_of(machine.flows, one_step("pass"), Packages({"six": "99.1"}))

        run_out(executor, machine.waiting_task(), machine.flows.task(wrong))

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"eventflow_environment{name}", labels)

        assert value("s_built_total", outcome="built") == 1
        assert value("s_built_total", outcome="failed") == 1
        assert value("_build_seconds_count") == 2


class TestCommand:
    def test_lists_what_was_built_and_removes_it_by_name(self, machine: Machine) -> None:
        name = Path(machine.build().folder).name

        listed = [
            json.loads(line) for line in machine.command("list", "--json").output.splitlines()
        ]
        tried = machine.command("remove", name[:8], "--dry-run")
        still_there = machine.find()
        removed = machine.command("remove", name[:8])

        assert [(each["name"], each["packages"]) for each in listed] == [(name, ["six==1.15.0"])]
        assert listed[0]["size_bytes"] > 10_000
        assert listed[0]["is_used"] is False
        assert tried.output == f"would remove {name[:8]}  six==1.15.0\n"
        assert still_there is not None
        assert removed.output == f"removed {name[:8]}  six==1.15.0\n"
        assert machine.find() is None

    def test_removes_what_was_unused_for_so_long(self, machine: Machine) -> None:
        folder, other = Path(machine.build().folder), Path(machine.build(BARE).folder)
        for each in (folder, other):
            os.close(hold(each) or 0)
        long_ago = datetime.now(UTC).timestamp() - 40 * 24 * 3600
        for file in (used_file(folder), folder / "environment.json"):
            os.utime(file, (long_ago, long_ago))

        said = machine.command("remove", "--unused-for", "30").output

        assert said == f"removed {folder.name[:8]}  six==1.15.0\n"
        assert (folder.exists(), other.exists()) == (False, True)

    def test_says_what_is_wrong(self, machine: Machine) -> None:
        folder = Path(machine.build().folder)
        machine.build(BARE)

        with locked(used_file(folder)):
            in_use = machine.command("remove", folder.name).exception
        missing = machine.command("remove", "nothing").exception
        several = machine.command("remove", "").exception
        both = machine.command("remove", "x", "--unused-for", "1")

        assert isinstance(in_use, EnvironmentInUse)
        assert isinstance(missing, NotFound)
        assert isinstance(several, Ambiguous)
        assert both.exit_code == 2
        assert "--unused-for DAYS" in both.output


def version_in(environment: Environment) -> str:
    program = "from importlib.metadata import version; print(version('six'))"
    return subprocess.check_output([environment.python, "-c", program], text=True).strip()
