"""The small examples are in order, and do what they say."""

from __future__ import annotations

import pytest

from eventflow.authoring.graph import check
from eventflow.authoring.inputs import Input
from examples.hello.branches import BranchesFlow
from examples.hello.hello import HelloFlow
from tests.support.given import Given, joined


@pytest.mark.parametrize("flow", [HelloFlow, BranchesFlow])
def test_the_example_has_no_mistakes(flow: type) -> None:
    assert check(flow) == []


def test_hello_greets_whom_it_was_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    start, end = HelloFlow(use_cli=False), HelloFlow(use_cli=False)
    start._bind({}, None, {"who": "Ann"})

    following = start._run_step("start")
    end._bind(start._new_artifacts(), None, {"who": "Ann"})
    end._run_step(following.steps[0])

    assert capsys.readouterr().out == "Hello, Ann!\n"


def test_branches_joins_what_both_counted() -> None:
    inputs = []
    for branch in ("words", "letters"):
        flow = BranchesFlow(use_cli=False)
        flow._bind({}, None, {"text": "a bc"})
        flow._run_step(branch)
        inputs.append(Input(branch, Given(**flow._new_artifacts())))
    join = BranchesFlow(use_cli=False)
    join._bind({}, joined(*inputs), {"text": "a bc"})

    join._run_step("join")

    assert join.counts == {"words": 2, "letters": 3}
