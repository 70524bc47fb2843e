"""What running attempts have printed so far, in the store: pieces by real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from eventflow.execution.local import LocalExecutor
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskPlan
from eventflow.settings import StoreSettings
from eventflow.store.failures import read_failure
from eventflow.store.line_times import read_times
from eventflow.store.live_output import LiveOutput, Portion, unended
from eventflow.store.port import Store
from eventflow.store.runs import place_of
from tests.servers.s3 import S3Endpoint
from tests.support.eventually import eventually
from tests.support.flows import Flows, one_step, run_out

TALKS = """
    print("begins é")
    os.write(1, b"half a li")
    print("to stderr", file=sys.stderr)
    while not Path(self.folder, "go").exists():
        time.sleep(0.01)
    os.write(1, b"ne \\xc3")
    Path(self.folder, "said").write_text("so\\n")
    while not Path(self.folder, "stop").exists():
        time.sleep(0.01)
    os.write(1, b"\\xa9 and more\\n")
    print("ends")
"""
LINGERS = """
    print("begins")
    Path(self.folder, "template").write_text(f"{os.getppid()}\\n")
    time.sleep(60)
"""
SECRET = "correct horse battery"
SPELLS_A_SECRET = """
    secret = os.environ["VAULT_OF_A_TEST"]
    os.write(1, b"it is " + secret[:9].encode())
    Path(self.folder, "pid").write_text(f"{os.getpid()}\\n")
    Path(self.folder, "template").write_text(f"{os.getppid()}\\n")
    while not Path(self.folder, "go").exists():
        time.sleep(0.01)
    os.write(1, secret[9:].encode() + b" indeed\\n")
    time.sleep(60 * Path(self.folder, "wait").exists())
"""


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def flows(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flows]:
    store = StoreSettings()
    if request.param == "s3":
        server: S3Endpoint = request.getfixturevalue("s3_server")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        bucket, prefix = request.getfixturevalue("s3_bucket"), request.getfixturevalue("s3_prefix")
        store = StoreSettings(
            url=f"s3://{bucket}/{prefix}", endpoint_url=server.endpoint_url, region=server.region
        )
    flows = Flows(tmp_path, store)
    yield flows
    flows.close()


@pytest.fixture
def local_flows(tmp_path: Path) -> Iterator[Flows]:
    flows = Flows(tmp_path)
    yield flows
    flows.close()


class Watch:
    """Reads the pieces of an attempt from a store of its own, as another machine would."""

    def __init__(self, flows: Flows, task: TaskPlan) -> None:
        self.store: Store = flows.world().store
        self.place, self.key = place_of(task.run.request), task.key
        self.live = LiveOutput(self.store, self.place, self.key)
        self.seen = {"stdout": b"", "stderr": b""}

    def look(self) -> dict[str, bytes]:
        """All that there is so far."""
        for stream, portion in self.live.read():
            assert portion.start == len(self.seen[stream])
            self.seen[stream] += portion.data
        return self.seen

    def keys(self) -> list[str]:
        """The pieces that stand."""
        return [each.key for each in self.store.list(self.place.live_prefix)]


def polled(executor: LocalExecutor, watch: Watch, stdout: bytes) -> None:
    """Wait for exactly this to be in the pieces, while the executor works."""

    def has_come() -> bool:
        assert not executor.poll(timedelta(milliseconds=50))
        return watch.look()["stdout"] == stdout

    eventually(has_come, message=f"not in the pieces: {stdout!r}")


def go(flows: Flows, name: str) -> None:
    (flows.folder / name).touch()


class TestPieces:
    def test_have_what_a_running_attempt_printed_and_go_when_its_output_stands(
        self, flows: Flows
    ) -> None:
        task = flows.task(flows.plan(flows.code(one_step(TALKS))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)

        polled(executor, watch, "begins é\nhalf a li".encode())
        assert watch.seen["stderr"] == b"to stderr\n"
        assert unended(watch.store, watch.place) == (task.key,)
        go(flows, "go")
        polled(executor, watch, "begins é\nhalf a line ".encode() + b"\xc3")
        go(flows, "stop")
        eventually(lambda: executor.poll(timedelta(milliseconds=50)))

        assert flows.output(task, "stdout") == "begins é\nhalf a line é and more\nends\n"
        eventually(lambda: not watch.keys(), message="pieces stay")
        assert unended(watch.store, watch.place) == ()

    def test_leave_the_times_at_which_lines_came(self, local_flows: Flows) -> None:
        flows = local_flows
        task = flows.task(flows.plan(flows.code(one_step(TALKS))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)
        polled(executor, watch, "begins é\nhalf a li".encode())
        go(flows, "go")
        polled(executor, watch, "begins é\nhalf a line ".encode() + b"\xc3")
        began_to_stop = datetime.now(UTC)
        go(flows, "stop")
        eventually(lambda: executor.poll(timedelta(milliseconds=50)))
        eventually(lambda: not watch.keys(), message="pieces stay")

        times = read_times(watch.store, watch.place, task.key, "stdout")
        output = flows.output(task, "stdout").encode()
        found = [at for at, _ in times.of_lines(output, datetime.now(UTC))]

        assert found == sorted(found)
        assert found[0] < began_to_stop < found[1]

    def test_are_not_written_of_an_attempt_that_ends_before_a_second(
        self, local_flows: Flows
    ) -> None:
        flows = local_flows
        task = flows.task(flows.plan(flows.code(one_step("print('fast')"))))
        executor, watch = flows.executor(), Watch(flows, task)

        run_out(executor, task)

        prefix = watch.place.epoch(1)
        names = [each.key.rsplit("/", 1)[1] for each in watch.store.list(prefix)]
        assert sorted(names) == ["artifacts.json", "stdout"]
        assert watch.keys() == []

    def test_of_much_output_are_bounded_and_say_what_they_leave_out(
        self, local_flows: Flows
    ) -> None:
        flows = local_flows
        body = """
            print("first")
            for number in range(300_000):
                print(f"{number:09d}" + "x" * 90)
            print("last", flush=True)
            while not Path(self.folder, "stop").exists():
                time.sleep(0.01)
        """
        task = flows.task(flows.plan(flows.code(one_step(body))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)
        last: dict[str, Portion] = {}
        left_out = 0

        def is_seen() -> bool:
            nonlocal left_out
            executor.poll(timedelta(milliseconds=50))
            for stream, portion in watch.live.read():
                before = last[stream].end if stream in last else 0
                if not before:
                    assert portion.data.startswith(b"first\n")
                left_out += portion.start - before
                last[stream] = portion
            return bool(last) and last["stdout"].data.endswith(b"\nlast\n")

        eventually(is_seen, timeout=60)
        size = sum(each.size_bytes for each in watch.store.list(watch.place.live_prefix))
        go(flows, "stop")

        assert last["stdout"].end == 6 + 300_000 * 100 + 5
        assert left_out > 5 * 2**20
        assert size <= 12 * 2**20


class TestDeath:
    def test_of_a_template_leaves_the_output_and_says_what_it_was(self, flows: Flows) -> None:
        task = flows.task(flows.plan(flows.code(one_step(LINGERS))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)

        os.kill(flows.pid("template"), signal.SIGKILL)
        (end,) = eventually(lambda: executor.poll(timedelta(milliseconds=50)))

        failure = read_failure(watch.store, watch.place, task.key)
        assert (end.outcome, end.reason) == (
            Outcome.FAILED,
            "its template process was killed by signal 9",
        )
        assert failure is not None
        assert failure.reason == end.reason
        assert flows.output(task, "stdout") == "begins\n"
        assert flows.output(task, "stderr") == f"eventflow: {end.reason}\n"

    def test_of_a_template_that_cannot_import_is_said_too(self, local_flows: Flows) -> None:
        flows = local_flows
        task = flows.task(flows.plan(flows.code(one_step("", module="os._exit(7)"))))

        (end,) = run_out(flows.executor(), task)

        failure = read_failure(flows.world().store, place_of(task.run.request), task.key)
        assert failure is not None
        assert failure.reason == end.reason == "its template process ended with exit code 7"

    def test_of_the_runner_leaves_in_pieces_what_was_printed_until_then(self, flows: Flows) -> None:
        root = flows.code(one_step(TALKS))
        task = flows.task(Flows(flows.home, flows.store).plan(root))
        watch = Watch(flows, task)
        command = [sys.executable, "-m", "tests.support.executor_child"]
        store = flows.store.model_dump_json()
        with subprocess.Popen([*command, str(flows.home), str(root), "30", store]) as child:
            eventually(lambda: watch.look()["stdout"])
            go(flows, "go")
            flows.said("said")

            child.kill()

        whole = "begins é\nhalf a line ".encode() + b"\xc3"
        eventually(lambda: watch.look()["stdout"] == whole, message="the last words are lost")
        assert unended(watch.store, watch.place) == (task.key,)

    def test_of_the_scribe_is_no_matter_for_the_attempt(self, local_flows: Flows) -> None:
        flows = local_flows
        task = flows.task(flows.plan(flows.code(one_step(TALKS))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)
        polled(executor, watch, "begins é\nhalf a li".encode())
        (scribe,) = scribes()

        scribe.kill()
        go(flows, "go")
        go(flows, "stop")

        (end,) = eventually(lambda: executor.poll(timedelta(milliseconds=50)))
        assert end.outcome is Outcome.SUCCEEDED
        assert flows.output(task, "stdout").endswith("ends\n")

    def test_of_everything_ends_the_scribe_too(self, local_flows: Flows) -> None:
        flows = local_flows
        task = flows.task(flows.plan(flows.code(one_step(LINGERS))))
        executor, watch = flows.executor(), Watch(flows, task)
        executor.start(task)
        polled(executor, watch, b"begins\n")
        (scribe,) = scribes()

        executor.close()

        eventually(lambda: not scribe.is_running(), message="the scribe stays")


class TestSecrets:
    def test_do_not_leak_between_two_pieces(self, flows: Flows, secret_flow: TaskPlan) -> None:
        executor, watch = flows.executor(), Watch(flows, secret_flow)
        executor.start(secret_flow)
        polled(executor, watch, b"it is ")

        go(flows, "wait")
        go(flows, "go")

        polled(executor, watch, b"it is *** indeed\n")

    def test_are_hidden_in_the_output_of_a_task_that_was_killed(
        self, flows: Flows, secret_flow: TaskPlan
    ) -> None:
        executor = flows.executor()
        go(flows, "wait")
        go(flows, "go")
        executor.start(secret_flow)
        polled(executor, Watch(flows, secret_flow), b"it is *** indeed\n")

        os.kill(flows.pid("pid"), signal.SIGKILL)
        eventually(lambda: executor.poll(timedelta(milliseconds=50)))

        assert flows.output(secret_flow, "stdout") == "it is *** indeed\n"

    def test_that_nobody_knows_any_more_leave_no_more_than_the_pieces(
        self, flows: Flows, secret_flow: TaskPlan
    ) -> None:
        executor, watch = flows.executor(), Watch(flows, secret_flow)
        go(flows, "wait")
        go(flows, "go")
        executor.start(secret_flow)
        polled(executor, watch, b"it is *** indeed\n")

        os.kill(flows.pid("template"), signal.SIGKILL)
        eventually(lambda: executor.poll(timedelta(milliseconds=50)))

        prefix = f"{watch.place.root}{secret_flow.key.path}/"
        assert [each.key.removeprefix(prefix) for each in watch.store.list(prefix)] == [
            "failure.json"
        ]
        assert watch.look()["stdout"] == b"it is *** indeed\n"


@pytest.fixture
def secret_flow(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> TaskPlan:
    monkeypatch.setenv("VAULT_OF_A_TEST", SECRET)
    source = one_step(SPELLS_A_SECRET).replace("import FlowSpec", "import secrets, FlowSpec")
    declared = '    @secrets(sources=["env.VAULT_OF_A_TEST"])\n    @step\n'
    source = source.replace("    @step\n", declared, 1)
    return flows.task(flows.plan(flows.code(source)))


def scribes() -> list[psutil.Process]:
    """The scribes below this process."""
    ours = psutil.Process().children(recursive=True)
    return [each for each in ours if "scribe" in each.cmdline()]
