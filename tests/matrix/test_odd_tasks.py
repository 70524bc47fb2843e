"""Tasks that do what no task should: they block in C, crash, exit, leave children, set what cannot
be kept."""

from __future__ import annotations

import pytest

from eventflow.authoring.caught import CaughtFailure
from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow, lines, one_caught
from tests.matrix.play import Stage
from tests.support.eventually import eventually
from tests.support.flows import is_running

DEATHS = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "its process was killed by SIGKILL"),
    "SIGSEGV": ("ctypes.string_at(0)", "its process was killed by SIGSEGV"),
    "os._exit": ("os._exit(7)", "exit code 7 in the middle of the step"),
    "sys.exit": ("sys.exit('enough')", "sys.exit('enough') was called"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
}


@pytest.mark.parametrize("stage", ["local"], indirect=True)
class TestDeaths:
    def test_a_death_is_a_failure_that_is_caught_like_another(self, stage: Stage) -> None:
        source = flow(
            f"""
            @step
            def start(self):
                self.before = "set before"
                self.ways = {list(DEATHS)}
                self.next(self.die, foreach="ways")

            @catch(var="caught")
            @step
            def die(self):
                self.lost = 1
                exec({{name: body for name, (body, _) in {DEATHS}.items()}}[self.input])
                self.next(self.join)

            @step
            def join(self, inputs):
                self.reasons = {{each.input: each.caught.reason for each in inputs}}
                self.before = {{each.before for each in inputs}}
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert played.run.data.before == {"set before"}
        for name, (_, reason) in DEATHS.items():
            assert reason in played.run.data.reasons[name]
        for task in played.tasks("die").values():
            assert isinstance(task.data.caught, CaughtFailure)
            assert "lost" not in task.data

    @pytest.mark.parametrize("way", ["SIGSEGV", "sys.exit"])
    def test_a_death_that_nobody_catches_is_the_reason_of_the_run(
        self, stage: Stage, way: str
    ) -> None:
        body, reason = DEATHS[way]

        played = stage.flow(one_caught(body, decorators=""))

        assert played.done.returncode == 1
        assert played.run.state is RunState.FAILED
        assert played.run.reason.startswith("Step odd failed: ")
        assert reason in played.run.reason

    def test_a_step_that_never_comes_back_from_c_is_killed_with_its_children_and_tried_again(
        self, stage: Stage
    ) -> None:
        body = """
        if current.retry_count == 0:
            block_in_c()
        self.attempt = current.retry_count
        """
        limits = "@timeout(seconds=2)\n@retry(times=1, minutes_between_retries=0)"

        played = stage.flow(one_caught(body, limits))

        (child,) = [int(line.split()[-1]) for line in lines(played.done.stdout, "child")]
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert played.run["odd"].task.data.attempt == 1
        assert "it was killed after its timeout of 2 s" in played.done.stderr
        eventually(lambda: not is_running(child), message="its child runs on")

    def test_a_timeout_is_caught_and_says_how_long_it_waited(self, stage: Stage) -> None:
        limits = "@timeout(seconds=1)\n@catch(var='caught')"

        played = stage.flow(one_caught("block_in_c()", limits))

        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        caught = played.run["odd"].task.data.caught
        assert caught.reason == "it was killed after its timeout of 1 s"

    def test_children_that_a_step_leaves_behind_die_with_it(self, stage: Stage) -> None:
        body = """
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        if os.fork() == 0:
            time.sleep(600)
        print("child", child.pid, flush=True)
        """

        played = stage.flow(one_caught(body))

        (child,) = [int(line.split()[-1]) for line in lines(played.done.stdout, "child")]
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        eventually(lambda: not is_running(child), message="its child runs on")

    def test_a_fork_that_comes_back_from_the_step_is_not_the_task(self, stage: Stage) -> None:
        body = """
        self.pid = os.getpid()
        if os.fork() == 0:
            self.pid = -1
        """

        played = stage.flow(one_caught(body))

        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert played.run["odd"].task.data.pid > 0
        assert len(list(played.run["end"].tasks())) == 1


@pytest.mark.parametrize("stage", ["local"], indirect=True)
class TestRefused:
    def test_a_condition_without_a_case_names_the_cases(self, stage: Stage) -> None:
        source = flow(
            """
            @step
            def start(self):
                self.side = "middle"
                self.next({"left": self.left, "right": self.right}, condition="side")

            @step
            def left(self):
                self.next(self.end)

            @step
            def right(self):
                self.next(self.end)
            """
        )

        played = stage.flow(source)

        assert played.run.state is RunState.FAILED
        assert "'side' has the value 'middle', and there is no case" in played.run.reason
        assert "'left', 'right'" in played.run.reason

    def test_an_artifact_cannot_have_a_name_that_is_taken(self, stage: Stage) -> None:
        names = ["end", "odd", "folder", "input", "next"]
        body = f"""
        self.refused = []
        for name in {names}:
            try:
                setattr(self, name, 1)
            except AttributeError as error:
                self.refused.append(f"{{type(error).__name__}} {{error}}")
        """

        played = stage.flow(one_caught(body))

        refused = played.run["odd"].task.data.refused
        assert played.run.state is RunState.SUCCEEDED
        assert len(refused) == len(names)
        for name, said in zip(names, refused, strict=True):
            assert said.startswith("ArtifactReadOnly ")
            assert name in said

    def test_what_cannot_be_stored_fails_the_task_by_name_and_can_be_caught(
        self, stage: Stage
    ) -> None:
        played = stage.flow(one_caught("self.lock = __import__('threading').Lock()"))

        caught = played.run["odd"].task.data.caught
        assert played.run.state is RunState.SUCCEEDED, played.done.stderr
        assert "Artifact 'lock' cannot be stored" in caught.reason
