"""Every mistake in a flow is found before anything runs, each at its file and line."""

from __future__ import annotations

import linecache
import sys
from textwrap import dedent

import pytest

from eventflow.authoring.graph import check, graph_of
from eventflow.errors import InvalidFlow
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from tests.support.authored import Author
from tests.support.right_flows import RIGHT
from tests.support.wrong_decorators import WRONG_DECORATORS
from tests.support.wrong_flows import WRONG
from tests.support.wrong_parameters import WRONG_PARAMETERS

ALL_WRONG = {**WRONG, **WRONG_DECORATORS, **WRONG_PARAMETERS}


@pytest.mark.parametrize("name", ALL_WRONG)
def test_every_mistake_has_its_line_and_nothing_else_is_one(name: str, author: Author) -> None:
    flow = author.flow(ALL_WRONG[name])

    problems = check(flow)

    found = [(problem.line, problem.message) for problem in problems]
    marks = _marks(flow)
    unmarked = [each for each in found if not any(_fits(mark, each) for mark in marks)]
    unfound = [mark for mark in marks if not any(_fits(mark, each) for each in found)]
    assert (unmarked, unfound, len(found)) == ([], [], len(marks))


def test_mistakes_come_in_the_order_of_the_file_and_deny_a_graph(author: Author) -> None:
    flow = author.flow(WRONG["several at once"])

    with pytest.raises(InvalidFlow) as caught:
        graph_of(flow)

    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines)
    assert len(lines) == 7
    assert str(caught.value).count(f"{_file(flow)}:") == 7


@pytest.mark.parametrize("name", RIGHT)
def test_a_flow_without_mistakes_has_none(name: str, author: Author) -> None:
    flow = author.flow(RIGHT[name])

    assert check(flow) == []


def test_the_graph_has_the_steps_as_they_are_written(author: Author) -> None:
    flow = author.module(
        '''\
        from eventflow import FlowSpec, step

        class Branches(FlowSpec):
            """Two at a time."""

            @step
            def start(self):
                """Opens."""
                self.next(self.a, self.b)

            @step
            def a(self):
                self.next(self.join)

            @step
            def b(self):
                self.next(self.join)

            @step
            def join(self, inputs):
                self.next(self.end)

            @step
            def end(self):
                pass
        ''',
        name="branches",
    ).Branches

    graph = graph_of(flow)

    assert graph == FlowGraph(
        flow="Branches",
        file="branches.py",
        doc="Two at a time.",
        steps=(
            StepNode("start", StepKind.SPLIT, ("a", "b"), False, 7, "Opens."),
            StepNode("a", StepKind.LINEAR, ("join",), False, 12),
            StepNode("b", StepKind.LINEAR, ("join",), False, 16),
            StepNode("join", StepKind.LINEAR, ("end",), True, 20),
            StepNode("end", StepKind.END, (), False, 24),
        ),
    )
    assert graph.parents("join") == ("a", "b")


def test_steps_of_bases_and_mixins_keep_their_own_file_and_line(author: Author) -> None:
    author.module(
        """\
        from eventflow import FlowSpec, step

        class Base(FlowSpec):
            @step
            def start(self):
                self.next(self.work)

            @step
            def end(self):
                pass

        class Logging:
            @step
            def work(self):
                self.next(self.nowhere)
        """,
        name="bases",
    )
    flow = author.module(
        """\
        from bases import Base, Logging

        class F(Logging, Base):
            pass
        """
    ).F

    problems = check(flow)

    (problem,) = problems
    assert (problem.file, problem.line) == (sys.modules["bases"].__file__, 15)
    assert "no step 'nowhere'" in problem.message


def test_an_overridden_step_counts_as_the_subclass_writes_it(author: Author) -> None:
    flow = author.flow(
        """
        class Base(FlowSpec):
            @step
            def start(self):
                self.next(self.broken)
            @step
            def end(self): ...

        class F(Base):
            @step
            def start(self):
                self.next(self.end)
        """
    )

    graph = graph_of(flow)

    assert [node.name for node in graph.steps] == ["start", "end"]
    assert graph.step("start").next_steps == ("end",)


def test_a_decorated_step_is_read_through_its_wrapper(author: Author) -> None:
    flow = author.flow(
        """
        import functools

        def timed(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        class F(FlowSpec):
            @step
            @timed
            def start(self):
                self.next(self.middle)
            @timed
            @step
            def middle(self):
                self.next(self.end)
            @step
            def end(self): ...
        """
    )

    graph = graph_of(flow)

    assert graph.step("middle").next_steps == ("end",)


def test_a_flow_without_a_file_is_said_to_have_no_source() -> None:
    source = dedent(RIGHT["linear"])
    space: dict[str, type] = {}
    exec("from eventflow import FlowSpec, step\n" + source, space)  # noqa: S102 - the case itself

    problems = check(space["F"])

    assert {problem.message for problem in problems} == {
        "The source of step 'start' cannot be read; keep it in a file.",
        "The source of step 'end' cannot be read; keep it in a file.",
    }


def _file(flow: type) -> str:
    return str(sys.modules[flow.__module__].__file__)


def _marks(flow: type) -> list[tuple[int, str]]:
    lines = linecache.getlines(_file(flow))
    return [
        (number, mark.strip())
        for number, line in enumerate(lines, 1)
        for mark in line.split("# !")[1:]
    ]


def _fits(mark: tuple[int, str], found: tuple[int, str]) -> bool:
    return mark[0] == found[0] and mark[1].rstrip(" #") in found[1]
