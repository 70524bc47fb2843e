"""Decorators in real runs on the embedded default: through the command line, up to the store."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen
from textwrap import dedent
from typing import Any

import pytest

from eventflow import Flow, Run, app, context
from eventflow.cards import get_cards
from eventflow.client import scope
from eventflow.settings import Settings
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(180)

VALUE = "hunter22-is-long"
HEADER = "import os, subprocess, sys, time\nfrom eventflow import *\n"
MAIN = "\nif __name__ == '__main__':\n    F()\n"


@dataclass
class Reader:
    """Somebody with an empty folder, a flow in it, and a command line."""

    folder: Path
    cluster: Cluster

    def write(self, source: str) -> Path:
        """Write the flow, whose class is `F`."""
        file = self.folder / "flow.py"
        file.write_text(HEADER + dedent(source) + MAIN)
        return file

    def run(self, source: str, *options: str) -> CompletedProcess[str]:
        """Run a flow by hand."""
        return self.flow(self.write(source), "run", *options)

    def flow(self, file: Path, *words: str) -> CompletedProcess[str]:
        """`python flow.py …`, however it ends."""
        return self.cluster.flow(file, *words, check=False)

    @property
    def home(self) -> Path:
        return Path(self.cluster.env["EVENTFLOW_HOME"])

    @property
    def latest(self) -> Run:
        return next(iter(Flow("F")))

    def files_with(self, text: str) -> list[Path]:
        """Files below the state folder that have these bytes."""
        files = (path for path in self.home.rglob("*") if path.is_file())
        return [path for path in files if text.encode() in path.read_bytes()]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    for name in [name for name in os.environ if name.startswith("EVENTFLOW_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "state"
    cluster = Cluster({"EVENTFLOW_HOME": str(home), "EVENTFLOW_USER": "ada"}, tmp_path)
    world = app.connect(Settings(home=home))
    with context.using(world):
        yield Reader(tmp_path, cluster)
    world.close()
    cluster.stop()
    scope._scope.chosen = scope._Unset.UNSET


class TestRetryAndCatch:
    def test_a_step_is_repeated_until_it_succeeds(self, reader: Reader) -> None:
        done = reader.run(
            """
            class F(FlowSpec):
                @retry(times=2, minutes_between_retries=0)
                @step
                def start(self):
                    if current.retry_count < 2:
                        raise ValueError("not yet")
                    self.attempt = current.retry_count
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )

        assert done.returncode == 0, done.stderr
        assert reader.latest["start"].task.data.attempt == 2
        assert done.stderr.count("not yet") == 4  # the line of code and the error, twice

    def test_a_caught_failure_can_be_printed_or_not(self, reader: Reader) -> None:
        flow = """
            class F(FlowSpec):
                @catch(var="why", print_exception={})
                @step
                def start(self):
                    self.partial = 1
                    raise ValueError("no rows")
                    self.next(self.end)
                @step
                def end(self):
                    print("went on:", self.why)
            """

        loud, quiet = (reader.run(flow.format(each)) for each in (True, False))

        assert (loud.returncode, quiet.returncode) == (0, 0)
        assert "went on: ValueError: no rows" in loud.stdout
        assert "went on: ValueError: no rows" in quiet.stdout
        assert "Traceback" in loud.stderr
        assert "Traceback" not in quiet.stderr

    def test_with_adds_decorators_to_steps_that_have_none_of_the_name(self, reader: Reader) -> None:
        file = reader.write(
            """
            class F(FlowSpec):
                @step
                def start(self):
                    self.mode = os.environ["MODE"]
                    if current.retry_count == 0:
                        raise ValueError("not yet")
                    self.next(self.end)
                @environment(vars={"MODE": "own"})
                @step
                def end(self):
                    self.mode = os.environ["MODE"]
            """
        )
        texts = (
            "retry:times=1,minutes_between_retries=0",
            'environment:vars={"MODE": "x"}',
            "card",
        )
        options = [word for text in texts for word in ("--with", text)]

        done = reader.flow(file, "run", *options)
        wrong = reader.flow(file, "run", "--with", "retri")

        assert done.returncode == 0, done.stderr
        start, end = reader.latest["start"].task, reader.latest["end"].task
        assert (start.current_attempt, start.data.mode, end.data.mode) == (1, "x", "own")
        assert "<h2>Artifacts</h2>" in get_cards(start)[0].get()
        assert wrong.returncode == 2
        assert "--with 'retri': there is no decorator 'retri'" in wrong.stderr

    def test_attributes_may_be_of_a_configuration(self, reader: Reader) -> None:
        done = reader.run(
            """
            @user_step_decorator
            def marked(step_name, flow, inputs=None, attributes=None):
                yield
                flow.mark = attributes["mark"]

            class F(FlowSpec):
                config = Config("config", default_value={"times": 1, "mark": "m", "card": "blank"})
                @retry(times=config.times, minutes_between_retries=0)
                @marked(mark=config.mark)
                @card(type=config.card)
                @step
                def start(self):
                    if current.retry_count == 0:
                        raise ValueError("not yet")
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )

        assert done.returncode == 0, done.stderr
        start = reader.latest["start"].task
        assert (start.current_attempt, start.data.mark) == (1, "m")
        assert "Artifacts" not in get_cards(start)[0].get()


class TestSecrets:
    FLOW = """
        @user_step_decorator
        def looks(step_name, flow, inputs=None, attributes=None):
            flow.length = len(os.environ["DB_PASSWORD"])
            yield

        class F(FlowSpec):
            @secrets(sources=[SOURCE])
            @card
            @looks
            @catch(var="why")
            @step
            def start(self):
                print("password:", os.environ["DB_PASSWORD"])
                subprocess.run("echo child: $DB_PASSWORD >&2", shell=True)
                current.card.append(os.environ["DB_PASSWORD"])
                raise ValueError("no login with " + os.environ["DB_PASSWORD"])
                self.next(self.more)
            @secrets(sources=[SOURCE])
            @card
            @step
            def more(self):
                raise ValueError(f"no login with {os.environ['DB_PASSWORD']!r}")
                self.next(self.end)
            @step
            def end(self): ...
        """

    def test_are_there_for_the_step_and_in_no_file_of_the_state_folder(
        self, reader: Reader
    ) -> None:
        secret = reader.folder / "db.env"
        secret.write_text(f"DB_PASSWORD={VALUE}\n")

        done = reader.run(f"SOURCE = {f'file.{secret}'!r}\n" + dedent(self.FLOW))

        assert done.returncode == 1
        assert "more failed: ValueError: no login with '***'" in done.stdout
        assert "[start] password: ***" in done.stdout
        assert VALUE not in done.stdout + done.stderr.replace(f"child: {VALUE}", "")
        start, more = reader.latest["start"].task, get_cards(f"{reader.latest.pathspec}/more/0")
        assert start.data.length == len(VALUE)
        assert start.data.why.reason.startswith("ValueError: no login with ***")
        assert "***" in get_cards(start)[0].get()
        assert "no login with &#x27;***&#x27;" in more[0].get()
        assert reader.files_with(VALUE) == []
        assert reader.files_with("child: ***") != []

    def test_that_are_not_there_fail_the_task_and_say_which(self, reader: Reader) -> None:
        done = reader.run("SOURCE = 'env.NOT_THERE'\n" + dedent(self.FLOW))

        assert done.returncode == 1
        assert "The secret env.NOT_THERE is not there: set NOT_THERE" in done.stderr

    def test_that_are_inline_are_refused_where_they_would_be_kept(self, reader: Reader) -> None:
        source = {"type": "inline", "options": {"env_vars": {"DB_PASSWORD": VALUE}}}
        file = reader.write(f"SOURCE = {source!r}\n" + dedent(self.FLOW))

        ran, deployed = reader.flow(file, "run"), reader.flow(file, "deploy")

        assert "no login with '***'" in ran.stdout
        assert deployed.returncode == 2
        assert "has inline secrets, which would be kept with its code" in deployed.stderr
        assert reader.files_with(VALUE) == []


class TestUserDecorators:
    def test_wrap_skip_and_forgive_steps_of_every_kind(self, reader: Reader) -> None:
        done = reader.run(
            """
            @user_step_decorator
            def skipped(step_name, flow, inputs=None, attributes=None):
                flow.rows, flow.way = [1, 2, 3], "left"
                yield USER_SKIP_STEP

            class Forgives(UserStepDecorator):
                def post_step(self, step_name, flow, exception=None):
                    flow.forgiven = str(exception)

            class F(FlowSpec):
                @skipped
                @step
                def start(self):
                    raise AssertionError("it is skipped")
                    self.next(self.each, foreach="rows")
                @Forgives
                @step
                def each(self):
                    self.item = self.input
                    raise ValueError(f"no {self.item}")
                    self.next(self.join)
                @step
                def join(self, inputs):
                    self.all = [(each.item, each.forgiven) for each in inputs]
                    self.next(self.choose)
                @skipped
                @step
                def choose(self):
                    self.next({"left": self.left, "right": self.right}, condition="way")
                @step
                def left(self):
                    self.next(self.end)
                @step
                def right(self):
                    self.next(self.end)
                @skipped
                @step
                def end(self):
                    raise AssertionError("it is skipped")
            """
        )

        assert done.returncode == 0, done.stderr
        assert reader.latest["join"].task.data.all == [(n, f"no {n}") for n in (1, 2, 3)]
        assert "left" in {each.id for each in reader.latest}

    def test_change_what_a_step_goes_on_with(self, reader: Reader) -> None:
        done = reader.run(
            """
            @user_step_decorator
            def elsewhere(step_name, flow, inputs=None, attributes=None):
                flow.few = [1]
                yield {"foreach": "few"}

            class F(FlowSpec):
                @elsewhere
                @step
                def start(self):
                    self.next(self.each, foreach="many")
                @step
                def each(self):
                    self.next(self.join)
                @step
                def join(self, inputs):
                    self.count = len(list(inputs))
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )

        assert done.returncode == 0, done.stderr
        assert reader.latest["join"].task.data.count == 1


class TestCards:
    FLOW = """
        from eventflow.cards import Markdown

        class F(FlowSpec):
            rows = Parameter("rows", default=3)
            @card
            @card(type="blank", id="notes", timeout=30)
            @step
            def start(self):
                self.table = list(range(self.rows))
                current.card.append(Markdown("# For all"))
                current.card["notes"].append(Markdown("*mine*"))
                self.next(self.work)
            @card(save_errors=False)
            @retry(times=1, minutes_between_retries=0)
            @step
            def work(self):
                if current.retry_count == 0:
                    raise ValueError("once")
                self.next(self.end)
            @step
            def end(self):
                current.card.append(1)
        """

    def test_are_listed_got_and_read(self, reader: Reader) -> None:
        file = reader.write(self.FLOW)
        failed = reader.flow(file, "run", "--rows", "2")
        run_id = reader.latest.id

        listed = reader.flow(file, "card", "list", f"{run_id}/start")
        notes = reader.flow(file, "card", "get", f"{run_id}/start/0", "--id", "notes")
        written = reader.flow(
            file, "card", "get", f"{run_id}/start", str(file.with_suffix(".html"))
        )
        shower = Cluster({**reader.cluster.env, "BROWSER": "echo shows %s"}, reader.folder)
        shown = shower.flow(file, "card", "view", f"{run_id}/start", "--id", "notes")
        unknown = reader.flow(file, "card", "get", f"{run_id}/start", "--id", "other")
        none = reader.flow(file, "card", "get", f"{run_id}/end/0")

        assert "CardMissing: Step 'end' has no card: write @card above it." in failed.stderr
        assert [line.split()[0] for line in listed.stdout.splitlines()] == ["ID", "notes", "-"]
        assert "<em>mine</em>" in notes.stdout
        assert "For all" not in notes.stdout
        assert written.returncode == 0
        html = file.with_suffix(".html").read_text()
        for each in ("<h1>For all</h1>", "[0, 1]", "default/user.ada", "<code>2</code>"):
            assert each in html
        assert "shows file:///" in shown.stdout
        assert "sandbox" in get_cards(f"{reader.latest.pathspec}/start/0", "notes")[0]._repr_html_()
        assert (unknown.returncode, none.returncode) == (3, 3)
        assert "has no card of the id 'other'" in unknown.stderr
        assert "write @card above the step" in none.stderr

    def test_of_a_failed_attempt_are_left_out_where_that_is_said(self, reader: Reader) -> None:
        reader.run(self.FLOW)

        keys = [each.key for each in context.world().store.list("projects/")]

        assert [key for key in keys if "/work/0/0/card" in key] == []
        assert len([key for key in keys if "/work/0/1/card" in key]) == 1

    def test_that_take_too_long_are_left_out(self, reader: Reader) -> None:
        done = reader.run(
            """
            class Slow:
                def html(self):
                    try:
                        time.sleep(60)
                    except Exception:
                        pass

            class F(FlowSpec):
                @card(timeout=0.1)
                @step
                def start(self):
                    current.card.append(Slow())
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )

        assert done.returncode == 0, done.stderr
        assert "eventflow: @card could not be made: it took more than 0.1 s" in done.stderr
        assert get_cards(reader.latest["start"].task) == ()


HOOKED = """
    def tell(run):
        print("told of", run.state, run.pathspec)

    def fails():
        print("goes wrong")
        raise ValueError("a hook")

    @exit_hook(on_success=[fails, "tell"], on_error=[tell])
    class F(FlowSpec):
        fail = Parameter("fail", default=False)
        wait = Parameter("wait", default="")
        @step
        def start(self):
            if self.wait:
                open(self.wait, "w").close()
                time.sleep(60)
            if self.fail:
                raise ValueError("no rows")
            self.next(self.end)
        @step
        def end(self): ...
    """


class TestExitHooks:
    def test_are_called_after_a_success_and_change_nothing_of_it(self, reader: Reader) -> None:
        done = reader.run(HOOKED)

        assert done.returncode == 0
        told = [line for line in done.stdout.splitlines() if line.startswith("[exit-hook]")]
        assert told == [
            "[exit-hook] goes wrong",
            f"[exit-hook] told of succeeded {reader.latest.pathspec}",
        ]
        assert "[exit-hook] ValueError: a hook" in done.stderr
        assert [each.id for each in reader.latest] == ["start", "end"]

    def test_are_called_after_a_failure(self, reader: Reader) -> None:
        done = reader.run(HOOKED, "--fail", "true")

        assert done.returncode == 1
        assert f"[exit-hook] told of failed {reader.latest.pathspec}" in done.stdout

    def test_are_called_when_a_run_is_cancelled(self, reader: Reader) -> None:
        file, started = reader.write(HOOKED), reader.folder / "started"
        command = [sys.executable, str(file), "run", "--wait", str(started)]
        environment = {**os.environ, **reader.cluster.env}
        with Popen(command, env=environment, stdout=PIPE, text=True) as process:
            eventually(started.exists, timeout=60)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)

        assert process.returncode == 130
        assert f"[exit-hook] told of cancelled {reader.latest.pathspec}" in said

    def test_of_a_requested_run_are_called_by_its_runner(self, reader: Reader) -> None:
        file = reader.write(HOOKED.replace("@exit_hook", "@trigger(event='go')\n    @exit_hook"))
        reader.flow(file, "deploy")
        reader.cluster.start("up")
        reader.cluster.eventflow("publish", "go")

        def hooks() -> Any:
            keys = [each.key for each in context.world().store.list("projects/default/prod/F/")]
            return sorted(key.rpartition("e1/")[2] for key in keys if "/exit-hook/" in key)

        eventually(lambda: "exit-hook/1/0/artifacts.json" in hooks(), timeout=60)
        assert hooks() == [
            "exit-hook/0/0/stderr",
            "exit-hook/0/0/stdout",
            "exit-hook/1/0/artifacts.json",
            "exit-hook/1/0/stdout",
        ]
        eventually(lambda: "succeeded" in reader.cluster.eventflow("runs").stdout, timeout=60)


def test_a_timeout_kills_all_that_the_step_started_and_can_be_caught(reader: Reader) -> None:
    done = reader.run(
        """
        class F(FlowSpec):
            @timeout(seconds=1)
            @catch(var="why")
            @step
            def start(self):
                child = subprocess.Popen(["sleep", "60"], start_new_session=True)
                print("child", child.pid, flush=True)
                while True:
                    pass
                self.next(self.end)
            @step
            def end(self):
                print("went on:", self.why)
        """
    )

    assert done.returncode == 0, done.stderr
    assert "went on: it was killed after its timeout of 1 s" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "child" in line]
    assert not Path(f"/proc/{line.split()[-1]}").exists() or sys.platform == "darwin"
