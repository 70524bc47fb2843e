"""Decorators of steps: where they may stand, what the graph says of them, every mistake in one."""

from __future__ import annotations

import functools
import json
import linecache
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest

from eventflow import retry
from eventflow.authoring.added_decorators import parse_with
from eventflow.authoring.decorator_policy import decorators_in_force, policy_of
from eventflow.authoring.decorator_problems import inline_secret_problems
from eventflow.authoring.graph import check, graph_of
from eventflow.errors import InvalidDecorator, InvalidFlow
from eventflow.model.policy import StepPolicy
from eventflow.store.graphs import graph_from_json, graph_to_json
from tests.support.authored import Author

ENDS = """
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
"""

WRONG = {
    "an attribute that there is not": "@retry(tmes=3)  # ! has no attribute 'tmes'",
    "a number that is none": "@retry(times='often')  # ! times has to be a whole number",
    "a number below zero": "@retry(minutes_between_retries=-1)  # ! has to be a number, 0 or more",
    "a backoff that shrinks": "@retry(backoff=0.5)  # ! has to be a number, 1 or more",
    "a number that is not finite": "@timeout(hours=float('inf'))  # ! has to be a number",
    "true for a number": "@timeout(seconds=True)  # ! seconds has to be a number",
    "more retries than attempts": "@retry(times=5)  # ! 6 attempts at most",
    "attributes without names": "@retry(3)  # ! takes its attributes by name",
    "no time": "@timeout  # ! says no time",
    "a negative resource": "@resources(cpu=-2)  # ! cpu has to be a number, 0 or more",
    "variables that are no dict": "@environment(vars=['A'])  # ! has to be a dict of names",
    "a variable with an odd name": "@environment(vars={'A B': '1'})  # ! 'A B' is no such name",
    "a variable of eventflow": "@environment(vars={'EVENTFLOW_HOME': 'x'})  # ! settings of",
    "a variable that is no text": "@environment(vars={'A': None})  # ! value of 'A' is NoneType",
    "secrets of nowhere": "@secrets  # ! names no source",
    "sources that are no list": "@secrets(sources='env.A')  # ! sources has to be a list",
    "a backend that there is not": "@secrets(sources=['vault.a'])  # ! names its backend first",
    "a secret without id": "@secrets(sources=['env.'])  # ! has an id",
    "a file from somewhere": "@secrets(sources=['file.a.env'])  # ! has to be an absolute path",
    "an option that there is not": (
        "@secrets(sources=[{'type': 'env', 'id': 'A', 'options': {'b': 1}}])  # ! has no option b"
    ),
    "a key that there is not": "@secrets(sources=[{'typ': 'env'}])  # ! a source has no typ",
    "a card of no type": "@card(type='fancy')  # ! the types of cards are default, blank",
    "a card with an odd id": "@card(id='a b')  # ! use letters, digits",
    "a card with odd options": "@card(options={'colour': 1})  # ! not colour",
    "a reserved artifact": "@catch(var='input')  # ! taken by FlowSpec",
    "an artifact that is a step": "@catch(var='end')  # ! this is a step",
    "an artifact that is no name": "@catch(var='_hidden')  # ! no name of an artifact",
    "a flag that is none": "@catch(print_exception=1)  # ! True or False",
    "a gang with attributes": "@parallel(nodes=2)  # ! no attribute 'nodes'; it has: none",
    "the same twice": "@retry  # ! has @retry twice\n            @retry(times=1)",
    "two cards of one id": "@card(id='a')  # ! an id of its own\n            @card(id='a')",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_in_a_decorator_has_the_line_where_it_stands(name: str, author: Author) -> None:
    flow = author.flow(f"class F(FlowSpec):\n            {WRONG[name]}" + ENDS)

    problems = check(flow)

    lines = linecache.getlines(sys.modules[flow.__module__].__file__ or "")
    (marked,) = [number for number, line in enumerate(lines, 1) if "# !" in line]
    last = [number for number, line in enumerate(lines, 1) if line.strip().startswith("@")][1]
    (problem,) = problems
    assert problem.line in (marked, last)
    assert lines[marked - 1].partition("# ! ")[2].strip() in problem.message


def test_a_decorator_on_what_is_no_step_is_a_mistake(author: Author) -> None:
    flow = author.flow(
        "class F(FlowSpec):\n            @retry\n            def helper(self): ...\n" + ENDS
    )

    (problem,) = check(flow)

    assert "stands on 'helper', which is no step" in problem.message


def test_a_decorator_on_what_can_have_no_note_is_refused_at_once() -> None:
    with pytest.raises(InvalidFlow, match="@retry stands on a step"):
        retry(len)


GANG = """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.train{how})
            @parallel
            @step
            def train(self):
                self.next({next})
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...
"""


def test_a_gang_may_say_that_it_is_one(author: Author) -> None:
    flow = author.flow(GANG.format(how=", num_parallel=2", next="self.join"))

    assert check(flow) == []
    assert policy_of(flow, "train") is None


def test_parallel_on_a_step_that_is_no_gang_is_a_mistake(author: Author) -> None:
    flow = author.flow(GANG.format(how="", next="self.end"))

    (problem,) = [each for each in check(flow) if "@parallel" in each.message]
    assert problem.line == 7
    assert "no gang after start: write self.next(self.train, num_parallel=" in problem.message


def test_of_a_flow_without_source_nobody_says_what_is_a_gang() -> None:
    source = dedent(GANG.format(how=", num_parallel=2", next="self.join"))
    space: dict[str, type] = {}
    exec("from eventflow import FlowSpec, parallel, step\n" + source, space)  # noqa: S102

    problems = check(space["F"])

    assert problems != []
    assert all("cannot be read; keep it in a file" in each.message for each in problems)


POLICIES: dict[str, StepPolicy] = {
    "@retry": StepPolicy(retries=3, retry_wait_s=120.0),
    "@retry()": StepPolicy(retries=3, retry_wait_s=120.0),
    "@retry(times=1, minutes_between_retries=0.5, backoff=2)": StepPolicy(
        retries=1, retry_wait_s=30.0, retry_backoff=2.0
    ),
    "@catch": StepPolicy(is_caught=True),
    "@catch(var='failure')": StepPolicy(is_caught=True, catch_artifact="failure"),
    "@timeout(seconds=1, minutes=2, hours=3)": StepPolicy(timeout_s=10921.0),
    "@resources(cpu=2, memory='4096', gpu=0.5)": StepPolicy(
        resources={"cpu": "2", "gpu": "0.5", "memory": "4096"}
    ),
    "@environment(vars={'A': 'x', 'B': 1})": StepPolicy(variables={"A": "x", "B": "1"}),
}


@pytest.mark.parametrize("decorator", POLICIES)
@pytest.mark.parametrize("is_above", [True, False])
def test_the_graph_has_what_a_decorator_asks_for(
    decorator: str, is_above: bool, author: Author
) -> None:
    marks = (decorator, "@step") if is_above else ("@step", decorator)
    flow = author.flow(
        f"""
        class F(FlowSpec):
            {marks[0]}
            {marks[1]}
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """
    )

    graph = graph_of(flow)

    assert graph.step("start").policy == POLICIES[decorator]
    assert graph.step("end").policy is None
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph)))) == graph


def test_several_decorators_add_up(author: Author) -> None:
    flow = author.flow(
        """
        class F(FlowSpec):
            @retry(times=2, minutes_between_retries=0)
            @step
            @catch(var="why")
            @timeout(minutes=1)
            @card
            @secrets(sources=["env.A"])
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """
    )

    policy = graph_of(flow).step("start").policy

    assert policy == StepPolicy(retries=2, is_caught=True, catch_artifact="why", timeout_s=60.0)


def test_a_step_keeps_its_decorators_when_inherited_and_has_its_own_when_overridden(
    author: Author,
) -> None:
    flow = author.flow(
        """
        class Base(FlowSpec):
            @retry(times=1)
            @step
            def start(self):
                self.next(self.middle)
            @retry(times=2)
            @step
            def middle(self):
                self.next(self.end)
            @step
            def end(self): ...

        class F(Base):
            @timeout(seconds=5)
            @step
            def middle(self):
                self.next(self.end)
        """
    )

    graph = graph_of(flow)

    assert graph.step("start").how.retries == 1
    assert graph.step("middle").policy == StepPolicy(timeout_s=5.0)


def test_a_decorator_goes_along_with_one_that_wraps(author: Author) -> None:
    def noisy(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapped(*given: Any) -> Any:
            return method(*given)

        return wrapped

    @noisy
    @retry(times=1)
    def inner(self: object) -> None: ...

    flow = type("F", (), {"inner": inner})

    assert policy_of(flow, "inner") == StepPolicy(retries=1, retry_wait_s=120.0)


class TestGivenAsText:
    def test_counts_where_the_step_has_none_of_the_name(self, author: Author) -> None:
        flow = author.flow(
            """
            class F(FlowSpec):
                @retry(times=1, minutes_between_retries=0)
                @step
                def start(self):
                    self.next(self.end)
                @step
                def end(self): ...
            """
        )
        extra = [parse_with("retry:times=4,minutes_between_retries=0"), parse_with("catch")]

        policies = [policy_of(flow, step, extra) for step in ("start", "end")]

        assert policies == [
            StepPolicy(retries=1, is_caught=True, added=("catch",)),
            StepPolicy(retries=4, is_caught=True, added=("catch",)),
        ]

    def test_of_several_the_last_counts(self, author: Author) -> None:
        flow = author.flow("class F(FlowSpec):" + ENDS)
        extra = [parse_with("retry:times=4"), parse_with("retry:times=2")]

        policy = policy_of(flow, "start", extra)

        assert policy is not None
        assert policy.retries == 2

    def test_a_step_that_cannot_be_caught_is_left_as_it_is(self, author: Author) -> None:
        flow = author.flow("class F(FlowSpec):" + ENDS)

        assert policy_of(flow, "start", [parse_with("catch")], can_catch=False) is None

    def test_values_are_json_or_text(self) -> None:
        with_spaces = parse_with('environment:vars={"A": "1", "B": "x=y,z=1"}')
        card = parse_with("card: type=blank , timeout=5")

        assert with_spaces.attributes == {"vars": {"A": "1", "B": "x=y,z=1"}}
        assert (card.attributes["type"], card.attributes["timeout"]) == ("blank", 5.0)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("retri", "there is no decorator 'retri'; there are: retry, catch"),
            ("retry:times", "write 'times' as name=value"),
            ("retry:times=9", r"@retry\(times=9\) is more than 4"),
            ("retry:tmes=9", "has no attribute 'tmes'"),
            ("timeout", "says no time"),
            ("environment:vars=A", "vars has to be a dict"),
        ],
    )
    def test_a_mistake_names_the_option(self, text: str, message: str) -> None:
        with pytest.raises(InvalidDecorator, match=rf"--with '{text}.*: .*{message}"):
            parse_with(text)

    def test_an_inline_secret_is_refused_and_not_repeated(self) -> None:
        source = '{"type": "inline", "options": {"env_vars": {"A": "hunter22"}}}'

        with pytest.raises(InvalidDecorator, match="do not belong on a command line") as caught:
            parse_with(f"secrets:sources=[{source}]")

        assert "hunter22" not in str(caught.value)

    def test_what_a_task_obeys_itself_is_found_by_it(self, author: Author) -> None:
        flow = author.flow("class F(FlowSpec):" + ENDS)
        policy = policy_of(flow, "start", [parse_with("card:type=blank"), parse_with("retry")])
        assert policy is not None

        (card,) = decorators_in_force(flow, "start", policy, "card")

        assert card.attributes["type"] == "blank"
        assert decorators_in_force(flow, "start", policy, "secrets") == ()


def test_inline_secrets_keep_a_flow_from_being_deployed(author: Author) -> None:
    source = "{'type': 'inline', 'options': {'env_vars': {'A': 'hunter22'}}}"
    flow = author.flow(f"class F(FlowSpec):\n            @secrets(sources=[{source}])" + ENDS)

    problems = list(inline_secret_problems(flow))

    assert check(flow) == []
    assert ["'start' has inline secrets" in each.message for each in problems] == [True]
    assert "hunter22" not in problems[0].message
