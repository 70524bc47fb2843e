"""Cards and exit hooks in real runs on the embedded default, through the command line."""

from __future__ import annotations

import os
import signal
import sys
from subprocess import PIPE, Popen
from typing import Any

import pytest

from eventflow import context
from eventflow.cards import get_cards
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.reader import Reader, reader

__all__ = ["reader"]

pytestmark = pytest.mark.timeout(180)


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
        told = [line for line in done.stdout.splitlines() if line.startswith("[exit-hook")]
        assert told == [
            "[exit-hook] goes wrong",
            f"[exit-hook/1] told of succeeded {reader.latest.pathspec}",
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
            "exit-hook/0/0/failure.json",
            "exit-hook/0/0/stderr",
            "exit-hook/0/0/stdout",
            "exit-hook/1/0/artifacts.json",
            "exit-hook/1/0/stdout",
        ]
        eventually(lambda: "succeeded" in reader.cluster.eventflow("runs").stdout, timeout=60)
