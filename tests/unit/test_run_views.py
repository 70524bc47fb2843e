"""What a run by hand shows: lines with their task, and on a terminal how far each step is."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from eventflow.cli.run_views import LiveView, PlainView, label_of, view_of
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import WAITING, TaskState
from eventflow.model.task import TaskKey

GRAPH = FlowGraph(
    "F",
    "f.py",
    "",
    (
        StepNode("start", StepKind.FOREACH, ("work",), False, 1, foreach="xs"),
        StepNode("work", StepKind.LINEAR, ("end",), False, 1),
        StepNode("end", StepKind.END, (), True, 1),
    ),
)


def told(step: str, state: str, task: str = "0") -> TaskState:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    return TaskState("shop/prod", "F", "h1", 1, step, task, 0, state, at)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (TaskKey(1, "train"), "train"),
        (TaskKey(1, "train", "0-3-1"), "train/0-3-1"),
        (TaskKey(1, "train", "0.2"), "train/0.2"),
        (TaskKey(1, "train", "0", 2), "train #3"),
    ],
)
def test_a_line_says_of_which_task_and_attempt_it_is(key: TaskKey, label: str) -> None:
    assert label_of(key) == label


def test_lines_go_to_where_the_task_wrote_them(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.on_line(TaskKey(1, "work", "0-1"), "stdout", "done")
        view.on_line(TaskKey(1, "work", "0-1"), "stderr", "odd")

    assert capsys.readouterr() == ("[work/0-1] done\n", "[work/0-1] odd\n")


def test_an_attempt_that_has_to_wait_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.on_task_state(replace(told("work", WAITING, "0-1"), attempt=1))

    assert capsys.readouterr().err.startswith("[work/0-1 #2] begins at 2026-01-3")


def test_what_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(view_of(GRAPH), PlainView)


def test_a_terminal_shows_lines_as_they_are_and_counts_the_tasks_of_each_step() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, color_system=None, width=60)

    with LiveView(GRAPH, console) as view:
        for state in ("running", "succeeded"):
            view.on_task_state(told("start", state))
        for task in ("0-0", "0-1", "0-2"):
            view.on_task_state(told("work", "running", task))
        view.on_task_state(told("work", "failed", "0-1"))
        view.on_line(TaskKey(1, "work", "0-0"), "stdout", "[bold] 100 % of [x]")

    shown = screen.getvalue()
    last = shown[shown.rindex("step ") :].splitlines()
    assert "[work/0-0] [bold] 100 % of [x]\n" in shown
    assert [line.split() for line in last[1:3]] == [["start", "1"], ["work", "2", "1"]]
    assert "end" not in last
