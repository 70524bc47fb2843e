"""The tutorials are in order, and their steps do what they say; their READMEs are run as well."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import pytest

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.graph import check, graph_of
from eventflow.authoring.inputs import Input, Level
from tests.support.given import Given, joined

FLOWS = {
    "OpeningHoursFlow": "01_opening_hours.opening_hours",
    "ReadingListFlow": "02_reading_list.reading_list",
    "LoanStatisticsFlow": "03_loan_statistics.loan_statistics",
    "NextReadFlow": "04_next_read.next_read",
}
BOOKS = [
    {"title": "Slow", "topic": "stars", "days": "50", "loans": "90"},
    {"title": "Quick", "topic": "stars", "days": "3", "loans": "9"},
    {"title": "Quicker", "topic": "stars", "days": "2", "loans": "8"},
    {"title": "Rare", "topic": "moss", "days": "1", "loans": "1"},
]


def flow_of(name: str) -> type[FlowSpec]:
    flow: type[FlowSpec] = getattr(import_module(f"examples.tutorials.{FLOWS[name]}"), name)
    return flow


def run_step(name: str, step: str, *levels: Level, **given: Any) -> FlowSpec:
    """A task of that step, at its end."""
    task = flow_of(name)(use_cli=False)
    task._bind(given, None, {"topic": "stars", "length": 2}, levels)
    task._run_step(step)
    return task


def run_join(name: str, **branches: FlowSpec) -> Any:
    """The join of what tasks have left."""
    inputs = [
        Input(step.rstrip("0123456789"), Given(**task._new_artifacts()))
        for step, task in branches.items()
    ]
    task = flow_of(name)(use_cli=False)
    task._bind({}, joined(*inputs), {})
    task._run_step("join")
    return task


@pytest.mark.parametrize("name", FLOWS)
def test_a_tutorial_has_no_mistakes_and_every_step_says_what_it_does(name: str) -> None:
    flow = flow_of(name)

    assert check(flow) == []
    assert all(step.doc for step in graph_of(flow).steps)


def test_the_reading_list_has_the_most_borrowed_books_of_the_topic_and_one_of_another() -> None:
    most = run_step("ReadingListFlow", "most_borrowed", books=BOOKS)
    surprise = run_step("ReadingListFlow", "surprise", books=BOOKS)

    join = run_join("ReadingListFlow", most_borrowed=most, surprise=surprise)

    assert join.titles == ["Slow", "Quick", "Rare"]


def test_the_statistics_are_those_of_each_topic_in_the_order_of_the_topics() -> None:
    topics = ["moss", "stars"]
    tasks = {
        f"count{index}": run_step(
            "LoanStatisticsFlow", "count", Level(index, 2, partial(str, name)), books=BOOKS
        )
        for index, name in enumerate(topics)
    }

    join = run_join("LoanStatisticsFlow", **tasks)

    assert list(join.statistics) == topics
    assert join.statistics["stars"] == {"median_days": 3, "loans": 107}


def test_what_is_back_soon_comes_before_a_book_of_the_rarest_topic() -> None:
    learnt = {
        "books": BOOKS,
        "statistics": {
            "stars": {"median_days": 3, "loans": 107},
            "moss": {"median_days": 1, "loans": 1},
        },
    }
    soon = run_step("NextReadFlow", "soon_back", **learnt)
    surprise = run_step("NextReadFlow", "surprise", **learnt)
    for each in (soon, surprise):
        vars(each)["learnt_from"] = "LoanStatisticsFlow/h1"

    join = run_join("NextReadFlow", soon_back=soon, surprise=surprise)

    assert join.titles == ["Quick", "Quicker", "Rare"]
