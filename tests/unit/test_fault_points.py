"""Every fault point that the code reaches is in a list, by which tests kill at it, and reversed."""

from __future__ import annotations

import ast
from pathlib import Path

import eventflow
from eventflow import deploy
from eventflow.execution import by_hand, driver, task
from eventflow.execution.environments import building, removing
from eventflow.services import runner, trigger

PLACES = (trigger, runner, driver, task, deploy, by_hand, building, removing)
LISTS = [each.FAULT_POINTS for each in PLACES]


def _reached() -> list[str]:
    """The literals that the sources hand to `reach`."""
    sources = Path(eventflow.__file__).parent.rglob("*.py")
    nodes = (node for file in sources for node in ast.walk(ast.parse(file.read_text())))
    calls = (node for node in nodes if isinstance(node, ast.Call))
    return [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "reach"
        if isinstance(call.args[0], ast.Constant)
    ]


def test_the_lists_have_every_point_that_is_reached_once_and_no_other() -> None:
    listed = [point for each in LISTS for point in each]

    assert sorted(listed) == sorted(_reached())
