"""The commands of a flow that read its runs: `dump`, `logs`, `tag`, and those about its graph."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.step import step
from eventflow.cli.flow import _command_line
from eventflow.cli.main import cli
from eventflow.cli.output import time_text
from eventflow.client.run import Run
from eventflow.errors import InvalidName, InvalidTag, NotFound
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskKey
from eventflow.store.failures import write_failure
from eventflow.store.line_times import LineTimes, time_of_ms, write_times
from eventflow.store.live_output import Portion
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from eventflow.model.run import RunRequest
    from tests.support.stored import History

LARGE = random.Random(1).randbytes(3000)

Ask = Callable[..., Result]


class Train(FlowSpec):
    """Trains."""

    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


@pytest.fixture
def ask(history: History, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Call a command of the flow, as in a process of its own."""
    monkeypatch.setenv("EVENTFLOW_HOME", str(history.world.settings.folder))
    monkeypatch.setenv("EVENTFLOW_USER", "ann")
    return lambda *words: CliRunner().invoke(_command_line(Train), words)


@pytest.fixture
def run(history: History) -> RunRequest:
    """A run of which the first task printed, the second failed."""
    run = history.begin(tags=["nightly"])
    start = history.task(run, "start", model={"w": [1.5]}, large=LARGE, _private=1)
    history.output(run, start, "stdout", "one\ntwo\n")
    failed = TaskKey(1, "end")
    history.output(run, failed, "stderr", "Traceback\n")
    write_failure(history.world.store, place_of(run), failed, reason="ValueError: x", traceback="")
    history.end(run, start, outcome=Outcome.FAILED)
    return run


# ── dump ─────────────────────────────────────────────────────────────────────


def test_dump_shows_values_and_of_large_ones_the_size(ask: Ask, run: RunRequest) -> None:
    result = ask("dump", f"{run.run_id[:6]}/start")

    assert result.output.splitlines() == [
        f"Train/{run.run_id}/start/0",
        "    large  bytes, 3,000 bytes",
        "    model  dict, 11 bytes",
        "        {'w': [1.5]}",
    ]


def test_dump_shows_what_it_is_asked_for(ask: Ask, run: RunRequest) -> None:
    task = f"{run.run_id}/start/0"

    private = ask("dump", task, "--private", "--max-value-size", "0").output
    chosen = ask("dump", task, "--include", "model, no_such", "--json").output
    whole = ask("dump", task, "--max-value-size", "99000", "--include", "large").output

    assert [line.split()[0] for line in private.splitlines()[1:]] == ["_private", "large", "model"]
    (row,) = map(json.loads, chosen.splitlines())
    assert (row["name"], row["type"], row["value"]) == ("model", "dict", "{'w': [1.5]}")
    assert len(whole) > 3000


def test_dump_shows_no_value_that_is_large_only_when_it_is_printed(
    ask: Ask, history: History
) -> None:
    run = history.begin()
    history.task(run, "start", long="x" * 3000)

    result = ask("dump", f"{run.run_id}/start")

    assert "long  str" in result.output
    assert "xxx" not in result.output


def test_dump_says_why_a_task_has_nothing(ask: Ask, run: RunRequest) -> None:
    result = ask("dump", f"{run.run_id}/end")

    assert "has not succeeded: ValueError: x" in result.output


def test_dump_writes_all_values_into_a_file(ask: Ask, run: RunRequest, tmp_path: Path) -> None:
    file = tmp_path / "values.pickle"

    result = ask("dump", f"{run.run_id}/start", "--private", "--file", str(file))

    assert result.output == f"3 artifacts are in {file}.\n"
    assert pickle.loads(file.read_bytes()) == {
        f"Train/{run.run_id}/start/0": {"_private": 1, "large": LARGE, "model": {"w": [1.5]}}
    }


# ── logs ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [("logs",), ("logs", "show")])
def test_logs_of_one_task_are_what_it_printed(
    words: tuple[str, ...], ask: Ask, run: RunRequest
) -> None:
    printed = ask(*words, f"{run.run_id}/start/0")
    failed = ask(*words, f"{run.run_id}/end")

    assert (printed.stdout, printed.stderr) == ("one\ntwo\n", "")
    assert (failed.stdout, failed.stderr) == ("", "Traceback\n")


def test_logs_of_several_tasks_say_whose_each_line_is(ask: Ask, run: RunRequest) -> None:
    result = ask("logs", f"Train/{run.run_id}")

    assert result.stdout == "[start/0] one\n[start/0] two\n"
    assert result.stderr == "[end/0] Traceback\n"


def test_logs_of_one_stream_leave_out_the_other(ask: Ask, run: RunRequest) -> None:
    assert ask("logs", run.run_id, "--stderr").stdout == ""
    assert ask("logs", run.run_id, "--stdout").stderr == ""


def test_logs_of_another_attempt(ask: Ask, history: History) -> None:
    run = history.begin()
    history.output(run, TaskKey(1, "start", attempt=0), "stdout", "first\n")
    history.output(run, history.task(run, "start", attempt=1), "stdout", "second\n")

    outputs = [ask("logs", f"{run.run_id}/start", *more).output for more in _ATTEMPTS]

    assert outputs == ["second\n", "first\n", "second\n"]
    missing = ask("logs", f"{run.run_id}/start", "--attempt", "7")
    assert "has no attempt 7" in str(missing.exception)


_ATTEMPTS: tuple[tuple[str, ...], ...] = ((), ("--attempt", "0"), ("--attempt", "1"))


def test_logs_are_followed_to_the_end_of_the_run(ask: Ask, run: RunRequest) -> None:
    result = ask("logs", run.run_id, "--follow")

    assert result.stdout == "[start/0] one\n[start/0] two\n"
    assert result.stderr == "[end/0] Traceback\n"


def test_logs_of_a_run_at_work_are_what_there_is_so_far(ask: Ask, history: History) -> None:
    run = history.begin()
    history.output(run, history.task(run, "start"), "stdout", "done\n")
    history.so_far(run, TaskKey(1, "end", attempt=1), 0, stdout=Portion(0, b"at it\nha"))

    result = ask("logs", run.run_id)

    assert result.stdout == "[start/0] done\n[end/0 #2] at it\n[end/0 #2] ha\n"
    assert result.stderr == "[end/0 #2] … is at work\n"


def test_logs_that_are_followed_say_what_was_lost(ask: Ask, history: History) -> None:
    run = history.begin()
    history.so_far(run, TaskKey(1, "start"), 0, stdout=Portion(0, b"a\nb"))
    key = history.task(run, "start", epoch=2)
    history.output(run, key, "stdout", "again\n")
    history.end(run, key, outcome=Outcome.FAILED)

    followed = ask("logs", run.run_id, "--follow")
    shown = ask("logs", run.run_id)

    assert followed.stdout == "[start/0] a\n[start/0] b\n[start/0] again\n"
    assert followed.stderr.startswith("[start/0] … was lost with its processes")
    assert (shown.stdout, shown.stderr) == ("again\n", "")


def test_logs_with_timestamps_say_by_when_a_line_was_printed(ask: Ask, history: History) -> None:
    run = history.begin()
    key = history.task(run, "start")
    history.output(run, key, "stdout", "one\ntwo\n")
    write_times(history.world.store, place_of(run), key, {"stdout": LineTimes(((4, 1000),), 8)})
    ended_at = time_text(run.requested_at + timedelta(seconds=5))

    result = ask("logs", run.run_id, "--timestamps")

    assert result.stdout.splitlines() == [
        f"{time_text(time_of_ms(1000))} one",
        f"{ended_at} two",
    ]


def test_logs_without_the_file_of_the_flow_are_the_same(ask: Ask, run: RunRequest) -> None:
    words = [("logs", f"{run.run_id[:8]}/start/0"), ("logs", run.run_id, "--follow")]

    for command, what, *more in words:
        without = CliRunner().invoke(cli, [command, f"Train/{what}", *more])
        assert without.output == ask(command, what, *more).output
    assert isinstance(CliRunner().invoke(cli, ["logs", "Train"]).exception, InvalidName)
    elsewhere = CliRunner().invoke(cli, ["logs", f"Train/{run.run_id}", "--within", "x/prod"])
    assert isinstance(elsewhere.exception, NotFound)


# ── tag ──────────────────────────────────────────────────────────────────────


def test_tags_are_changed_from_the_command_line(ask: Ask, run: RunRequest) -> None:
    named = ("--run-id", run.run_id[:6])

    added = ask("tag", "add", *named, "a", "b")
    ask("tag", "remove", *named, "nightly", "b")
    replaced = ask("tag", "replace", *named, "--remove", "a", "--add", "y", "--add", "z")

    short = f"Train/{run.run_id[:8]}"
    assert added.output == f"{short} has these user tags now: a, b, nightly\n"
    assert replaced.output == f"{short} has these user tags now: y, z\n"
    assert Run(f"Train/{run.run_id}").user_tags == {"y", "z"}


def test_a_change_of_tags_names_its_run(ask: Ask, run: RunRequest) -> None:
    result = ask("tag", "add", "a")

    assert result.exit_code == 2
    assert "Missing option '--run-id'" in result.stderr
    assert Run(f"Train/{run.run_id}").user_tags == {"nightly"}


def test_the_tags_of_the_latest_run_are_listed(ask: Ask, history: History) -> None:
    history.begin(tags=["old"])
    latest = history.begin(tags=["b", "a"])

    rows = [json.loads(line) for line in ask("tag", "list", "--json").output.splitlines()]

    assert {row["pathspec"] for row in rows} == {f"Train/{latest.run_id}"}
    assert [(row["tag"], row["kind"]) for row in rows][:3] == [
        ("a", "user"),
        ("b", "user"),
        ("project:shop", "system"),
    ]


def test_tags_of_all_runs_are_grouped(ask: Ask, history: History) -> None:
    first, second = history.begin(tags=["a", "b"]), history.begin(tags=["a"])
    names = [f"Train/{each.run_id[:8]}" for each in (second, first)]
    options = ("--all", "--hide-system-tags", "--json")

    by_tag = ask("tag", "list", *options, "--group-by-tag").output
    by_run = ask("tag", "list", *options, "--group-by-run").output

    assert [json.loads(line) for line in by_tag.splitlines()] == [
        {"tag": "a", "runs": names},
        {"tag": "b", "runs": names[1:]},
    ]
    assert [json.loads(line)["tags"] for line in by_run.splitlines()] == [["a"], ["a", "b"]]


def test_my_runs_are_those_that_i_started(
    ask: Ask, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.begin(tags=["a"])

    mine = ask("tag", "list", "--my-runs", "--hide-system-tags").output
    monkeypatch.setenv("EVENTFLOW_USER", "bob")
    his = ask("tag", "list", "--my-runs", "--hide-system-tags", "--json").output

    assert "a" in mine
    assert his == ""


def test_one_run_or_many_not_both(ask: Ask, run: RunRequest) -> None:
    result = ask("tag", "list", "--all", "--run-id", run.run_id)

    assert result.exit_code == 2
    assert "--run-id is one run" in result.stderr


# ── mistakes ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("dump", "{run}"), InvalidName, "RUN/STEP, or RUN/STEP/TASK"),
        (("dump", "{run}/start/0/model"), InvalidName, "names nothing here"),
        (("dump", "{run}/nope"), NotFound, "no step 'nope'; it has: start, end"),
        (("dump", "{run}/start/0-7"), NotFound, "no task '0-7'; those that have ended are 0."),
        (("logs", "{run}/start/99"), NotFound, "no task '99'; those that have ended are 0."),
        (("dump", "{run}/start/99"), NotFound, "no task '99'; those that have ended are 0."),
        (("logs", "rzzzzzzz"), NotFound, "No run of Train"),
        (("logs", "//"), InvalidName, "RUN, RUN/STEP, or"),
        (("tag", "add", "--run-id", "{run}", ""), InvalidTag, "cannot be empty"),
        (("tag", "remove", "--run-id", "{run}", "user:ann"), InvalidTag, "is a system tag"),
        (("--branch", "b", "logs", "{run}"), NotFound, "never run in default/test.b"),
    ],
)
def test_a_mistake_is_an_error_that_says_what_is_right(
    words: tuple[str, ...], kind: type, said: str, ask: Ask, run: RunRequest
) -> None:
    result = ask(*(word.format(run=run.run_id) for word in words))

    assert isinstance(result.exception, kind)
    assert said in str(result.exception)


def test_a_task_that_may_still_come_has_not_ended(ask: Ask, history: History) -> None:
    run = history.begin()

    dumped, logged = (ask(word, f"{run.run_id}/start/0-7") for word in ("dump", "logs"))

    assert "has ended: there is nothing" in str(dumped.exception)
    assert "has ended: nothing is known" in str(logged.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("argo-workflows create", "No such command 'argo-workflows'. Make the flow live with `dep"),
        ("step-functions create", "Make the flow live with `deploy`"),
        ("airflow create", "Make the flow live with `deploy`"),
        ("kubernetes step", "start `eventflow runner` on the machines that shall have them"),
        ("batch step", "start `eventflow runner`"),
        ("package list", "`deploy` makes the code package"),
        ("step start", "`resume STEP` runs the flow anew from a step on"),
        ("card create", "write @card above the step"),
        ("card lst", "Did you mean 'list'?"),
        ("deplyo", "Did you mean 'deploy'?"),
        ("qqq", "There are: card, check, deploy,"),
        ("--metadata local run", "where runs are kept is a setting: EVENTFLOW_STORE__URL"),
        ("--environment conda run", "say the packages of a step with @pypi"),
        ("--config a b run", "this flow has no Config"),
        ("run --decospecs retry", "write --with"),
        ("run --namespace a", "write --branch or --production, before the command"),
        ("deploy --authorize t", "a deploy needs no token"),
        ("resume --run-id x", "write --origin-run-id"),
    ],
)
def test_a_word_that_there_is_not_is_answered_with_what_to_write(
    words: str, said: str, ask: Ask
) -> None:
    result = ask(*words.split())

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize("words", [("logs", "a", "b"), ("logs", "show")])
def test_logs_of_nothing_or_of_two_things_are_a_usage_error(
    words: tuple[str, ...], ask: Ask, run: RunRequest
) -> None:
    result = ask(*words)

    assert result.exit_code == 2
    assert "Name one" in result.stderr


@pytest.mark.parametrize("words", [("dump", "r/s"), ("logs", "r"), ("tag", "list")])
def test_a_command_that_reads_makes_no_state_folder(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTFLOW_HOME", str(tmp_path / "state"))

    result = CliRunner().invoke(_command_line(Train), words)

    assert isinstance(result.exception, NotFound)
    assert not (tmp_path / "state").exists()


# ── about the flow ───────────────────────────────────────────────────────────


def test_the_graph_is_printed_for_graphviz_and_for_programs(ask: Ask) -> None:
    dot, raw = ask("output-dot").output, ask("output-raw").output
    line = ask("output-raw", "--json").output

    assert '"start" -> "end";' in dot
    assert dot.startswith('digraph "Train" {')
    assert json.loads(raw) == json.loads(line)
    assert [node["name"] for node in json.loads(line)["steps"]] == ["start", "end"]
    assert len(line.splitlines()) == 1


def test_help_and_version_are_commands_too(ask: Ask) -> None:
    assert ask("help").output == ask("--help").output
    assert ask("version").output.startswith("eventflow 0")


# ── eventflow runs ───────────────────────────────────────────────────────────


def test_runs_are_found_by_all_of_their_tags(
    ask: Ask, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = history.begin(tags=["a", "b"])
    history.begin(tags=["a"])
    history.begin("Predict", tags=["a", "b"])

    def found(*words: str) -> list[str]:
        lines = CliRunner().invoke(cli, ("runs", "--json", *words)).output.splitlines()
        return [json.loads(line)["run_id"] for line in lines]

    assert found("Train", "--tag", "a", "--tag", "b") == [both.run_id]
    assert len(found("--tag", "a", "--tag", "b")) == 2
    assert len(found("--tag", "a")) == 3
    assert found("--tag", "c") == []


def test_the_run_to_resume_may_have_the_name_of_its_flow_before_it(
    ask: Ask, run: RunRequest
) -> None:
    own = ask("resume", "--origin-run-id", "Train/nosuchrun")
    other = ask("resume", "--origin-run-id", f"Other/{run.run_id}")

    assert isinstance(own.exception, NotFound)
    assert "Train has never run in default/user.ann" in str(own.exception)
    assert isinstance(other.exception, NotFound)
    assert str(other.exception) == f"Other/{run.run_id} is no run of Train in default/user.ann."
