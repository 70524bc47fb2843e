"""Decorators in real runs on the embedded default: through the command line, up to the store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from eventflow.cards import get_cards
from tests.support.reader import Reader, reader

__all__ = ["reader"]

pytestmark = pytest.mark.timeout(180)

VALUE = "hunter22-is-long"


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

    def test_what_is_wrong_with_the_code_of_a_step_is_not_repeated_and_a_value_is(
        self, reader: Reader
    ) -> None:
        done = reader.run(
            """
            class F(FlowSpec):
                @retry(times=1, minutes_between_retries=0)
                @step
                def start(self):
                    self.rows = [] if current.retry_count == 0 else [1]
                    self.next(self.each, foreach="rows")
                @catch(var="why")
                @retry(times=1, minutes_between_retries=0)
                @step
                def each(self):
                    setattr(self, "index", 1)
                    self.next(self.join)
                @retry(times=1, minutes_between_retries=0)
                @step
                def join(self, inputs):
                    print("each failed:", inputs[0].why)
                    setattr(self, "index", 1)
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )

        assert "Step join failed: ArtifactReadOnly: self.index is taken" in done.stdout
        assert done.stdout.count("each failed: ArtifactReadOnly: self.index is taken") == 1
        attempts = {each: reader.latest[each].task.current_attempt for each in ("start", "each")}
        assert attempts == {"start": 1, "each": 0}

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
        wrong = reader.flow(file, "--with", "retri", "run")
        deployed = reader.flow(file, *options[:2], "deploy", *options[2:], "--dry-run")
        shown = reader.flow(file, *options, "show", "--json")

        assert done.returncode == 0, done.stderr
        start, end = reader.latest["start"].task, reader.latest["end"].task
        assert (start.current_attempt, start.data.mode, end.data.mode) == (1, "x", "own")
        assert "<h2>Artifacts</h2>" in get_cards(start)[0].get()
        assert deployed.returncode == 0, deployed.stderr
        policies = [step["policy"] for step in json.loads(shown.stdout)["steps"]]
        assert [each["retries"] for each in policies] == [1, 1]
        assert [each["added"] for each in policies] == [["card"], ["card"]]
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
