"""`Runner`: a flow's file run from a program, in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eventflow import Runner, app, context
from eventflow.context import World
from eventflow.errors import (
    CommandFailed,
    InvalidFlow,
    InvalidOption,
    InvalidSettings,
    NotFound,
    TimedOut,
)
from eventflow.model.run import RunState
from eventflow.settings import Settings
from tests.support.eventually import eventually

FLOW = '''
import os, sys, time
from pathlib import Path

from eventflow import FlowSpec, JSONType, Parameter, current, project, step

print("the module is imported")


@project(name="shop")
class GreetFlow(FlowSpec):
    """Greets."""

    who = Parameter("who", default="world")
    times = Parameter("how-often", default=1)
    loud = Parameter("loud", default=False)
    more = Parameter("more", type=JSONType, default=None)
    wait_for = Parameter("wait_for", default="")
    fail = Parameter("fail", default=False)
    needs = Parameter("needs", default="")

    @step
    def start(self):
        print("pid", os.getpid(), flush=True)
        while self.wait_for and not Path(self.wait_for).exists():
            time.sleep(0.02)
        print(f"Hello, {self.who}!" * self.times)
        print("aside", file=sys.stderr)
        if self.fail:
            raise ValueError("as you wish")
        self.said = [self.who, self.times, self.loud, self.more]
        self.next(self.end)

    @step
    def end(self):
        assert not self.needs or Path(self.needs).exists(), "it is not there"
        self.branch = current.branch_name


if __name__ == "__main__":
    GreetFlow()
'''

SLEEPS_IN_RUN = """
if sys.argv[1] == "run":
    Path(__file__).with_name("sleeps").touch()
    time.sleep(60)


@project("""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    connected = app.connect(Settings(home=tmp_path / "state"))
    with context.using(connected):
        yield connected
    connected.close()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    file = tmp_path / "greet.py"
    file.write_text(FLOW)
    return file


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "gate"


def test_python_values_arrive_as_the_types_of_the_parameters(world: World, flow: Path) -> None:
    with Runner(flow, show_output=False, branch="b", production=True) as runner:
        executing = runner.run(who="Ann", how_often=2, loud=True, more={"a": [1, None]})

    assert (executing.status, executing.returncode) == ("successful", 0)
    assert executing.run.namespace == "shop/prod.b"
    assert executing.run.state is RunState.SUCCEEDED
    assert executing.run["start"].task.data.said == ["Ann", 2, True, {"a": [1, None]}]
    assert executing.run.data.branch == "prod.b"


def test_output_is_kept_and_shown_while_show_output_is_on(
    world: World, flow: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    executing = Runner(flow).run(who="Änn")
    shown = capfd.readouterr()
    Runner(flow, show_output=False).run()

    assert "[start] Hello, Änn!\n" in shown.out
    assert "[start] aside\n" in shown.err
    assert (executing.stdout, executing.stderr) == (shown.out, shown.err)
    assert capfd.readouterr() == ("", "")


def test_a_run_that_fails_is_returned_as_failed(world: World, flow: Path) -> None:
    executing = Runner(flow, show_output=False).run(fail=True)

    assert (executing.status, executing.returncode) == ("failed", 1)
    assert executing.run.state is RunState.FAILED
    assert "as you wish" in executing.run.reason


def test_a_run_is_resumed_where_it_failed_or_at_a_step(
    world: World, flow: Path, gate: Path
) -> None:
    runner = Runner(flow, show_output=False)
    failed = runner.run(needs=gate, tags=["a", "b"])
    gate.touch()

    resumed = runner.resume(origin_run_id=failed.run.id)
    again = runner.resume("start", origin_run_id=failed.run.id)
    whole = runner.resume(origin_run_id=resumed.run.id)

    assert failed.run.user_tags == {"a", "b"}
    assert [each.status for each in (failed, resumed, again, whole)] == [
        *("failed", "successful", "successful", "successful")
    ]
    assert [("[start] pid" in each.stdout) for each in (resumed, again, whole)] == [
        *(False, True, False)
    ]
    assert whole.run.data.branch == resumed.run.data.branch
    with pytest.raises(CommandFailed, match="has no step 'nowhere'"):
        runner.resume("nowhere", origin_run_id=failed.run.id)


def test_a_run_is_resumed_beside_the_program(world: World, flow: Path, gate: Path) -> None:
    async def resume() -> str:
        runner = Runner(flow, show_output=False)
        failed = runner.run(needs=gate)
        gate.touch()
        resumed = await runner.async_resume(origin_run_id=failed.run.id)
        return (await resumed.wait()).status

    assert asyncio.run(resume()) == "successful"


@pytest.mark.parametrize(
    ("given", "message"),
    [({"whom": "Ann"}, "has no option 'whom'"), ({"runner_attribute_file": "f"}, "no option")],
)
def test_what_the_flow_does_not_take_is_refused_before_anything_runs(
    world: World, flow: Path, given: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidOption, match=message):
        Runner(flow).run(**given)
    with pytest.raises(InvalidOption, match="before a command, has no option 'brunch'"):
        Runner(flow, brunch="b")

    assert not (world.settings.folder / "store" / "projects").exists()


def test_a_value_of_the_wrong_type_is_what_the_command_line_says_of_it(
    world: World, flow: Path
) -> None:
    with pytest.raises(CommandFailed, match="Parameter 'how-often': 'often' is no") as caught:
        Runner(flow, show_output=False).run(how_often="often")

    assert caught.value.returncode == 2
    assert caught.value.stderr.startswith("InvalidParameter: ")


def test_a_flow_with_mistakes_is_refused_with_its_lines(world: World, flow: Path) -> None:
    flow.write_text(FLOW.replace("self.next(self.end)", "self.next(self.nowhere)"))

    with pytest.raises(CommandFailed, match=rf"InvalidFlow: {flow}:\d+: .*nowhere"):
        Runner(flow).run()


def test_a_file_that_is_no_flow_or_not_there_is_refused(world: World, tmp_path: Path) -> None:
    plain = tmp_path / "plain.py"
    plain.write_text("print('hello')")

    with pytest.raises(InvalidFlow, match=r"plain\.py:1: .*has to end with MyFlow\(\)"):
        Runner(plain).run()
    with pytest.raises(NotFound, match=r"no file .*nothing\.py"):
        Runner("nothing.py", cwd=tmp_path)
    with pytest.raises(InvalidOption, match="there are no profiles"):
        Runner(plain, profile="dev")


def test_a_value_larger_than_a_command_line_is_refused(world: World, flow: Path) -> None:
    with pytest.raises(InvalidOption, match="larger than a command line"):
        Runner(flow).run(who="x" * 10_000_000)


def test_the_file_is_found_in_cwd_and_its_run_in_the_state_of_the_caller(
    world: World, flow: Path
) -> None:
    elsewhere = flow.parent / "elsewhere"
    elsewhere.mkdir()

    executing = Runner("../greet.py", show_output=False, cwd=elsewhere).run()

    assert executing.run.successful
    assert list(elsewhere.iterdir()) == []


def test_a_run_that_env_puts_into_another_store_is_not_taken_for_one_of_this(
    world: World, flow: Path
) -> None:
    env = {"EVENTFLOW_HOME": str(flow.parent / "other")}

    executing = Runner(flow, show_output=False, env=env).run()

    assert executing.status == "successful"
    with pytest.raises(InvalidSettings, match="other/store, this process reads"):
        _ = executing.run


def test_the_synchronous_methods_work_where_a_loop_runs_already(world: World, flow: Path) -> None:
    async def cell() -> str:
        return Runner(flow, show_output=False).run().status

    assert asyncio.run(cell()) == "successful"


def test_a_run_can_be_read_and_followed_while_it_runs(world: World, flow: Path, gate: Path) -> None:
    async def follow() -> list[tuple[int, str]]:
        async with Runner(flow, show_output=False) as runner:
            executing = await runner.async_run(wait_for=gate)
            assert (executing.status, executing.returncode) == ("running", None)
            assert executing.run.state is RunState.RUNNING
            lines = []
            async for position, line in executing.stream_log("stdout"):
                lines.append((position, line))
                if "pid" in line:
                    assert executing.stdout.endswith(f"{line}\n")  # its task waits for the gate
                    gate.touch()
            again = [each async for each in executing.stream_log("stdout", lines[1][0])]
            assert again == lines[2:]
            assert (await executing.wait()).status == "successful"
            assert executing.stdout == "".join(f"{line}\n" for _, line in lines)
            return lines

    lines = [line for _, line in asyncio.run(follow())]

    assert lines[0] == "the module is imported"
    assert "[start] Hello, world!" in lines


def test_two_runs_at_once_do_not_wait_for_each_other(world: World, flow: Path, gate: Path) -> None:
    async def both() -> list[str]:
        runner = Runner(flow, show_output=False)
        first = await runner.async_run(wait_for=gate)
        second = await runner.async_run()
        await second.wait()
        assert first.status == "running"
        gate.touch()
        await first.wait()
        return [first.status, second.status]

    assert asyncio.run(both()) == ["successful", "successful"]


def test_a_run_that_takes_longer_than_one_waits_is_cancelled(
    world: World, flow: Path, gate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def impatient() -> None:
        executing = await Runner(flow).async_run(wait_for=gate)
        task = await _pid(executing.command_obj.output("stdout"))
        await executing.wait(timeout=0.2, stream="stdout")

        assert executing.status == "timeout"
        assert executing.run.state is RunState.CANCELLED
        assert not psutil.pid_exists(task)

    asyncio.run(impatient())

    assert "[start] pid" in capsys.readouterr().out


def test_leaving_the_context_cancels_what_runs_and_leaves_no_process(
    world: World, flow: Path, gate: Path
) -> None:
    async def leave() -> None:
        async with Runner(flow) as runner:
            executing = await runner.async_run(wait_for=gate)
            task = await _pid(executing.command_obj.output("stdout"))

        assert executing.status == "failed"
        assert executing.run.state is RunState.CANCELLED
        assert not psutil.pid_exists(task)
        assert not psutil.pid_exists(executing.command_obj.pid)

    asyncio.run(leave())


def test_a_cancelled_coroutine_leaves_no_run(world: World, flow: Path) -> None:
    flow.write_text(FLOW.replace("@project(", SLEEPS_IN_RUN, 1))

    async def cancelled() -> None:
        beginning = asyncio.create_task(Runner(flow).async_run())
        while not (flow.parent / "sleeps").exists():
            await asyncio.sleep(0.02)
        beginning.cancel()
        await beginning

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())

    assert _descendants_with(str(flow)) == []


def test_a_run_that_does_not_begin_in_time_is_ended(world: World, flow: Path) -> None:
    flow.write_text(FLOW.replace("@project(", SLEEPS_IN_RUN, 1))

    with pytest.raises(TimedOut, match="did not begin within 2"):
        Runner(flow, file_read_timeout=2).run()

    assert _descendants_with(str(flow)) == []


def test_ctrl_c_cancels_the_run_and_leaves_no_process(
    world: World, flow: Path, gate: Path, tmp_path: Path
) -> None:
    program = f"from eventflow import Runner; Runner({str(flow)!r}).run(wait_for={str(gate)!r})"
    env = {**os.environ, "EVENTFLOW_HOME": str(world.settings.folder)}
    said = tmp_path / "said"
    with said.open("wb") as out:
        caller = subprocess.Popen(
            [sys.executable, "-c", program], env=env, stdout=out, stderr=subprocess.DEVNULL
        )
    eventually(lambda: "[start] pid" in said.read_text())
    left = psutil.Process(caller.pid).children(recursive=True)

    caller.send_signal(signal.SIGINT)
    caller.wait(20)

    assert caller.returncode == -signal.SIGINT
    assert "cancelled: stopped by SIGTERM" in said.read_text()
    eventually(lambda: not any(each.is_running() for each in left))


def test_a_program_that_ends_ends_what_it_began(
    world: World, flow: Path, gate: Path, tmp_path: Path
) -> None:
    program = (
        "import asyncio, json; from eventflow import Runner\n"
        f"executing = asyncio.run(Runner({str(flow)!r}).async_run(wait_for={str(gate)!r}))\n"
        "print(json.dumps([executing.command_obj.pid, executing.run.pathspec]))"
    )
    env = {**os.environ, "EVENTFLOW_HOME": str(world.settings.folder)}

    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )

    pid, pathspec = json.loads(done.stdout)
    assert not psutil.pid_exists(pid)
    assert world.store.info(
        f"projects/shop/{_branch(world)}/{pathspec.replace('/', '/runs/')}/end.json"
    )


def _branch(world: World) -> str:
    return next((world.settings.folder / "store" / "projects" / "shop").glob("user.*")).name


async def _pid(output: Path) -> int:
    """Of the task, once it has printed it."""
    while "[start] pid " not in output.read_text():
        await asyncio.sleep(0.02)
    return int(output.read_text().partition("[start] pid ")[2].split()[0])


def _descendants_with(word: str) -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [each for each in children if word in each.cmdline()]
