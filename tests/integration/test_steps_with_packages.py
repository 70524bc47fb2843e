"""Steps with packages of their own, run by the local executor: real packages, real processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from eventflow.execution.by_hand import run_by_hand
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph
from eventflow.model.policy import Packages, StepPolicy
from eventflow.model.task import RunPlan, TaskKey, TaskPlan
from tests.support.eventually import eventually
from tests.support.flows import HEADER, Flows, is_running, line, one_step, run_out
from tests.support.package_index import need_package_index

pytestmark = pytest.mark.packages

SIX = Packages({"six": "1.15.0"})
AFTER_START = TaskKey(1, "start")
SECOND = timedelta(seconds=1)


@pytest.fixture
def flows(tmp_path: Path) -> Iterator[Flows]:
    need_package_index()
    flows = Flows(tmp_path)
    yield flows
    flows.close()


@contextmanager
def silent_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An index that never answers: what is built then is built until the index is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "no-uv-cache"))
        yield


def two_steps(start: str, end: str, *, module: str = "") -> str:
    return (
        f"{HEADER}{module}\nclass F(FlowSpec):\n    folder = Parameter('folder')\n"
        f"    @step\n    def start(self):\n        {start}\n        self.next(self.end)\n"
        f"    @step\n    def end(self):\n        {end}\n"
    )


def plan_of(flows: Flows, source: str, packages: Packages, **variables: str) -> RunPlan:
    """A run whose first step has these packages."""
    return flows.plan(flows.code(source), with_packages(packages, **variables))


def with_packages(packages: Packages, **variables: str) -> FlowGraph:
    graph = line("start", "end")
    start, end = graph.steps
    policy = StepPolicy(variables=variables, packages=packages)
    return replace(graph, steps=(replace(start, policy=policy), end))


def builders() -> list[psutil.Process]:
    """The processes below this one that build environments."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if "eventflow.cli.environment" in " ".join(each.cmdline())]


def uv_below(process: psutil.Process) -> psutil.Process:
    def found() -> list[psutil.Process]:
        return [each for each in process.children() if "uv" in each.name()]

    return eventually(found, message="uv has not been started")[0]


class TestArtifacts:
    def test_cross_from_a_step_with_packages_to_one_without(self, flows: Flows) -> None:
        source = two_steps(
            "import six; self.six, self.rows = six.__version__, {1: (2.5, b'x')}",
            "import six; self.own = six.__version__; self.sum = self.rows[1][0] + 1",
        )
        plan = plan_of(flows, source, SIX)
        start, end = flows.task(plan), flows.task(plan, "end", AFTER_START)
        executor = flows.executor()

        ends = [run_out(executor, each)[0].outcome for each in (start, end)]

        assert ends == [Outcome.SUCCEEDED] * 2
        assert flows.artifact(start, "six") == "1.15.0"
        assert flows.artifact(end, "own") == version("six") != "1.15.0"
        assert flows.artifact(end, "sum") == 3.5

    def test_of_classes_that_are_not_there_are_an_error_of_the_step_that_reads_them(
        self, flows: Flows
    ) -> None:
        source = two_steps(
            "import munch; self.thing, self.count = munch.Munch(a=1), 2",
            "self.twice = 2 * self.count; print(self.thing)",
        )
        source_of_reader = source.replace("; print(self.thing)", "")
        plan = plan_of(flows, source, Packages({"munch": "4.0.0"}))
        executor = flows.executor()
        run_out(executor, flows.task(plan))
        careful = replace(plan, code_root=str(flows.code(source_of_reader, folder="other")))

        (reads,) = run_out(executor, flows.task(plan, "end", AFTER_START))
        (leaves,) = run_out(executor, flows.task(careful, "end", AFTER_START))

        assert reads.outcome is Outcome.FAILED
        assert "ArtifactNotReadable" in reads.reason
        assert "munch" in reads.reason
        assert leaves.outcome is Outcome.SUCCEEDED
        assert flows.artifact(flows.task(careful, "end"), "twice") == 4

    def test_that_are_code_of_another_python_are_refused_not_run(
        self, flows: Flows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_python(monkeypatch, "3.13")
        source = two_steps("self.add = lambda x: [x + y for y in range(3)]", "self.add(1)")
        plan = plan_of(flows, source, Packages(python="3.13"))
        executor = flows.executor()
        run_out(executor, flows.task(plan))

        (end,) = run_out(executor, flows.task(plan, "end", AFTER_START))

        assert end.outcome is Outcome.FAILED
        assert "ArtifactNotReadable" in end.reason
        assert "code that was compiled by Python 3.13" in end.reason


class TestProcesses:
    def test_of_such_a_step_are_of_its_environment(self, flows: Flows) -> None:
        body = """
            self.prefix = sys.prefix
            self.found = [os.environ["VIRTUAL_ENV"], os.environ["SHADE"]]
            self.child = subprocess.check_output(["python", "-c", "import sys; print(sys.prefix)"])
            code = "import eventflow, six; print(six.__version__)"
            self.spawned = subprocess.check_output([sys.executable, "-c", code])
        """
        start = flows.task(plan_of(flows, one_step(body), SIX, SHADE="blue"))

        run_out(flows.executor(), start)

        prefix = flows.artifact(start, "prefix")
        assert Path(prefix).is_relative_to(flows.home / "cache" / "environments")
        assert flows.artifact(start, "found") == [prefix, "blue"]
        assert flows.artifact(start, "child").decode().strip() == prefix
        assert flows.artifact(start, "spawned") == b"1.15.0\n"

    def test_that_cannot_be_forks_are_of_the_environment_too(self, flows: Flows) -> None:
        module = "import six\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
        body = "self.six, self.parent = six.__version__, os.getppid()"
        start = flows.task(plan_of(flows, one_step(body, module=module), SIX))

        (end,) = run_out(flows.executor(), start)

        assert end.outcome is Outcome.SUCCEEDED, end.reason
        assert flows.artifact(start, "six") == "1.15.0"

    def test_are_forks_of_one_template(self, flows: Flows) -> None:
        plan = plan_of(flows, one_step("self.template = os.getppid()"), SIX)
        tasks = [flows.task(plan), flows.task(replace_run(plan))]

        run_out(flows.executor(), *tasks)

        templates = {flows.artifact(each, "template") for each in tasks}
        assert len(templates) == 1

    @pytest.mark.parametrize("minor", ["3.12", "3.13"])
    def test_have_the_python_that_the_step_asks_for(
        self, flows: Flows, monkeypatch: pytest.MonkeyPatch, minor: str
    ) -> None:
        add_python(monkeypatch, minor)
        packages = Packages({"six": ""}, python=minor)
        start = flows.task(plan_of(flows, one_step("self.python = sys.version_info[:2]"), packages))

        (end,) = run_out(flows.executor(), start)

        assert end.outcome is Outcome.SUCCEEDED, end.reason
        assert flows.artifact(start, "python") == tuple(map(int, minor.split(".")))


def replace_run(plan: RunPlan) -> RunPlan:
    return replace(plan, request=replace(plan.request, run_id="h" + "9" * 20))


def add_python(monkeypatch: pytest.MonkeyPatch, minor: str) -> None:
    """Have an interpreter on the PATH, or skip."""
    managed = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{minor}.*/bin/python{minor}"))
    python = str(managed[-1]) if managed else shutil.which(f"python{minor}")
    if python is None or subprocess.run([python, "-c", ""], check=False).returncode:
        pytest.skip(f"there is no Python {minor} on this machine")
    monkeypatch.setenv("PATH", f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}")


def test_a_traceback_shows_the_code_of_the_author_alone_also_where_the_cache_lies_below_it(
    flows: Flows,
) -> None:
    source = one_step("raise ValueError('no rows')")
    plan = flows.plan(flows.code(source, folder="."), with_packages(SIX))
    start = flows.task(plan)

    run_out(flows.executor(), start)

    printed = flows.output(start, "stderr")
    assert "ValueError: no rows" in printed
    assert printed.count('File "') == 1


class TestBuilding:
    def test_keeps_nobody_waiting_but_who_needs_it(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        executor = flows.executor()
        waiting = flows.task(plan_of(flows, one_step("pass"), SIX))
        plain = flows.task(flows.plan(flows.code(one_step("self.x = 1"))))

        with silent_index(monkeypatch, tmp_path):
            executor.start(waiting)
            (end,) = run_out(executor, plain)

        assert end.run_id == plain.run.request.run_id
        assert end.outcome is Outcome.SUCCEEDED

    def test_begins_when_the_run_does(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        executor = flows.executor()
        graph = with_packages(SIX)
        start, end = graph.steps
        later = replace(
            graph,
            steps=(replace(start, policy=None), replace(end, policy=start.policy)),
        )

        with silent_index(monkeypatch, tmp_path):
            executor.warm(flows.plan(flows.code(one_step("pass")), later))

            assert len(builders()) == 1

    def test_is_told_to_who_waits(self, flows: Flows) -> None:
        start = flows.task(plan_of(flows, one_step("print('at work', file=sys.stderr)"), SIX))

        run_out(flows.executor(), start)

        first, second = flows.output(start, "stderr").splitlines()
        assert first.startswith("eventflow: building an environment: six==1.15.0 on Python 3.")
        assert second == "at work"

    def test_is_done_once_for_all_that_wait(self, flows: Flows) -> None:
        plan = plan_of(flows, one_step("pass"), SIX)
        executor = flows.executor()
        executor.warm(plan)
        count = len(builders())

        ends = run_out(executor, flows.task(plan), flows.task(replace_run(plan)))

        assert count == 1
        assert len(list((flows.home / "cache/environments").glob("*/pyvenv.cfg"))) == 1
        assert {each.outcome for each in ends} == {Outcome.SUCCEEDED}

    def test_that_fails_is_the_end_of_the_attempt_and_says_why(self, flows: Flows) -> None:
        plan = plan_of(flows, one_step("pass"), Packages({"six": "99.1"}))

        (end,) = run_out(flows.executor(), flows.task(plan))

        assert end.outcome is Outcome.FAILED
        assert end.reason.startswith("its environment cannot be made: The packages six==99.1")
        assert "there is no version of six==99.1" in end.reason

    def test_that_fails_can_be_caught(self, flows: Flows) -> None:
        plan = plan_of(flows, one_step("pass"), Packages({"six": "99.1"}))
        start, end = plan.graph.steps
        policy = replace(start.how, is_caught=True, catch_artifact="wrong")
        graph = replace(plan.graph, steps=(replace(start, policy=policy), end))
        world = flows.world()

        driven = run_by_hand(
            replace(plan, graph=graph),
            flows.executor(),
            world.store,
            world.effects,
            on_line=lambda *_: None,
        )

        caught = flows.artifact(TaskPlan(plan, TaskKey(1, "start", attempt=1), ()), "wrong")
        assert driven.outcome is Outcome.SUCCEEDED
        assert "there is no version of six==99.1" in str(caught)

    def test_whose_process_is_killed_is_the_end_of_the_attempt_and_the_next_one_builds_again(
        self, flows: Flows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_of(flows, one_step("pass"), SIX)
        executor = flows.executor()

        monkeypatch.setenv("EVENTFLOW_FAULT", "environment.installed")
        (first,) = run_out(executor, flows.task(plan))
        monkeypatch.delenv("EVENTFLOW_FAULT")
        (second,) = run_out(executor, flows.task(plan))

        assert first.reason.endswith("the process that built it was killed by signal 9")
        assert second.outcome is Outcome.SUCCEEDED

    def test_goes_on_when_a_run_that_waits_for_it_is_killed_and_ends_with_the_executor(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        executor = flows.executor()
        killed = flows.task(plan_of(flows, one_step("pass"), SIX))
        plain = flows.task(flows.plan(flows.code(one_step("pass"))))
        with silent_index(monkeypatch, tmp_path):
            executor.start(killed)
            (builder,) = builders()
            uv = uv_below(builder)

            executor.kill(killed.run.request.run_id, 1)
            (end,) = run_out(executor, plain)
            goes_on = builder.is_running()
            executor.close()
            flows.executors.clear()

        assert goes_on
        assert end.run_id == plain.run.request.run_id
        eventually(lambda: not any(map(is_running, (builder.pid, uv.pid))))

    def test_keeps_no_run_waiting_that_is_asked_to_stop(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        executor = flows.executor()
        start = flows.task(plan_of(flows, one_step("pass"), SIX))
        with silent_index(monkeypatch, tmp_path):
            executor.start(start)
            executor.interrupt(start.run.request.run_id, 1)

            (end,) = executor.poll(SECOND)

        assert end.key == start.key
        assert end.reason == "stopped while its environment was built"

    def test_dies_with_the_executors_process(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = "import sys, time; from tests.integration import test_steps_with_packages as t;"
        program += "t.hold_a_build(sys.argv[1])"
        with silent_index(monkeypatch, tmp_path):
            with subprocess.Popen([sys.executable, "-c", program, str(flows.home)]) as child:
                (builder,) = eventually(builders, message="nothing is built")
                uv = uv_below(builder)

                child.send_signal(signal.SIGKILL)

            eventually(lambda: not any(map(is_running, (builder.pid, uv.pid))))


def hold_a_build(home: str) -> None:
    """In a process of its own: an executor with a build under way."""
    flows = Flows(Path(home))
    executor = flows.executor()
    executor.start(flows.task(plan_of(flows, one_step("pass"), SIX)))
    while True:
        executor.poll(SECOND)


class TestReuse:
    def test_by_another_executor_goes_without_network(
        self, flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = plan_of(flows, one_step("import six; self.six = six.__version__"), SIX)
        run_out(flows.executor(), flows.task(plan))
        again = flows.task(replace_run(plan))

        monkeypatch.setenv("UV_OFFLINE", "1")
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "no-uv-cache"))
        run_out(flows.executor(), again)

        assert flows.artifact(again, "six") == "1.15.0"
