"""Every mistake in a flow is found before anything runs, each at its file and line.

In the flows below a line with a mistake ends in `# ! <part of the message>`; a flow has exactly
the mistakes that it is marked with.
"""

from __future__ import annotations

import linecache
import sys
from textwrap import dedent

import pytest

from eventflow.authoring.graph import check, graph_of
from eventflow.errors import InvalidFlow
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from tests.support.authored import Author

WRONG = {
    "nothing in it": """
        class F(FlowSpec):  # ! has no steps
            def helper(self): ...
        """,
    "no start": """
        class F(FlowSpec):  # ! has no step 'start'
            @step
            def begin(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "no end": """
        class F(FlowSpec):  # ! has no step 'end'
            @step
            def start(self):
                self.next(self.finish)  # ! no step 'finish'
        """,
    "unknown step": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.trian)  # ! no step 'trian'
            @step
            def train(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "method without @step": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.train)  # ! put @step above it
            def train(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "no next": """
        class F(FlowSpec):
            @step
            def start(self):  # ! dead end
                self.x = 1
            @step
            def end(self): ...
        """,
    "next is not last": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)  # ! last statement
                self.x = 1
            @step
            def end(self): ...
        """,
    "next inside a block": """
        class F(FlowSpec):
            @step
            def start(self):
                if True:
                    self.next(self.end)  # ! last statement
            @step
            def end(self): ...
        """,
    "several nexts": """
        class F(FlowSpec):
            @step
            def start(self):
                if self.x:
                    self.next(self.a)
                else:
                    self.next(self.end)  # ! calls self.next 2 times
            @step
            def a(self):
                self.next(self.end)
            @step
            def end(self, inputs): ...
        """,
    "next with what is no step": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end(), "end", *self.x)  # ! not self.end()  # ! not 'end'  # ! not *self
            @step
            def end(self): ...
        """,
    "next with nothing": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next()  # ! names no step
            @step
            def end(self): ...
        """,
    "next twice with one step": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end, self.end)  # ! names 'end' twice
            @step
            def end(self): ...
        """,
    "end goes on": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self):
                self.next(self.start)  # ! remove its self.next  # ! is a cycle
        """,
    "unreachable": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def island(self):  # ! never reached
                self.next(self.end)
            @step
            def end(self, inputs): ...
        """,
    "cycle": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a)
            @step
            def a(self, inputs):
                self.next(self.b)
            @step
            def b(self):
                self.next(self.a)  # ! a → b → a is a cycle
            @step
            def end(self): ...  # ! never reached
        """,
    "join without inputs": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next(self.join)
            @step
            def b(self):
                self.next(self.join)
            @step
            def join(self):  # ! def join(self, inputs)
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "inputs without join": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.middle)
            @step
            def middle(self, inputs):  # ! only 'start' leads to it
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "start with inputs": """
        class F(FlowSpec):
            @step
            def start(self, inputs):  # ! 'start' has no inputs
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "odd arguments": """
        class F(FlowSpec):
            @step
            def start(self, a, b):  # ! plain method def start(self)
                self.next(self.one)
            @step
            def one(self, *rest):  # ! plain method def one(self)
                self.next(self.two)
            @step
            def two(self, *, key=1):  # ! plain method def two(self)
                self.next(self.three)
            @step
            async def three(self):  # ! plain method def three(self)
                self.next(self.four)
            @step
            def four(self):  # ! plain method def four(self)
                yield 1
                self.next(self.end)
            @step
            def end(): ...  # ! plain method def end(self)
        """,
    "a split that nobody joins": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next(self.end)
            @step
            def b(self):
                self.next(self.end)
            @step
            def end(self): ...  # ! reached from 'a', 'b', so it joins them
        """,
    "branches of two splits in one join": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next(self.c, self.d)
            @step
            def b(self):
                self.next(self.join)
            @step
            def c(self):
                self.next(self.join)
            @step
            def d(self):
                self.next(self.end)
            @step
            def join(self, inputs):  # ! joins 'b', 'c', which are not branches of one split
                self.next(self.end)
            @step
            def end(self, inputs): ...
        """,
    "branches joined at different steps": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b, self.c)
            @step
            def a(self):
                self.next(self.some)
            @step
            def b(self):
                self.next(self.some)
            @step
            def c(self):
                self.next(self.all)
            @step
            def some(self, inputs):  # ! joins only some branches of the split in 'start': lead 'c'
                self.next(self.all)
            @step
            def all(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "a jump out of a branch": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next(self.a1, self.a2)
            @step
            def a1(self):
                self.next(self.inner)
            @step
            def a2(self):
                self.next(self.inner)
            @step
            def b(self):
                self.next(self.inner)
            @step
            def inner(self, inputs):  # ! cannot jump out of it
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "taken names": """
        class F(FlowSpec):
            input = Parameter("rows", default=1)  # ! attribute 'input'
            @step
            def start(self):
                self.name = "x"  # ! taken by FlowSpec
                self.next(self.alive)
            @step
            def alive(self):  # ! cannot be called 'alive'
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "setting what is read-only": """
        class F(FlowSpec):
            rate = Parameter("rate", default=0.5)
            classes = ("a", "b")
            @step
            def start(self):
                self.rate = 1  # ! a parameter
                self.classes += ("c",)  # ! a constant
                for self.end in range(3):  # ! a step
                    pass
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "what a later version brings": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")  # ! foreach= is not yet executed
            @step
            def a(self):
                self.next(self.b, num_parallel=4)  # ! num_parallel= is not yet executed
            @step
            def b(self):
                self.next({"x": self.end}, condition="x")  # ! condition= is not yet executed
            @step
            def end(self): ...
        """,
    "a word that next does not know": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end, forech="rows")  # ! does not know forech=
            @step
            def end(self): ...
        """,
    "parameters": """
        class F(FlowSpec):
            alpha = Parameter("alpha", default=1)
            other = Parameter("Alpha", default=1)  # ! differs from parameter 'alpha'
            empty = Parameter("")  # ! cannot be called ''
            branch = Parameter("branch")  # ! option of the command line
            log_size = Parameter("max_log_size")  # ! option of the command line
            odd = Parameter("odd", type=set)  # ! str, int, float, bool or JSONType
            day = Parameter("day", type=int, default="monday")  # ! 'monday' is no value of type int
            rows = Parameter("rows", type=JSONType, default="[1,")  # ! default of parameter 'rows'
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "a project that cannot be": """
        @project(name="Fraud Detection")
        class F(FlowSpec):  # ! no project name
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "several at once": """
        @project(name="X")
        class F(FlowSpec):  # ! no project name  # ! has no step 'end'
            with_ = Parameter("with")  # ! option of the command line
            @step
            def start(self):
                self.next(self.left, self.write)  # ! no step 'write'
            @step
            def left(self, a, b):  # ! plain method  # ! dead end
                self.start = 1  # ! a step
        """,
}


@pytest.mark.parametrize("name", WRONG)
def test_every_mistake_has_its_line_and_nothing_else_is_one(name: str, author: Author) -> None:
    flow = author.flow(WRONG[name])

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


RIGHT = {
    "linear": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "end joins": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next(self.end)
            @step
            def b(self):
                self.next(self.end)
            @step
            def end(self, inputs): ...
        """,
    "nested splits, one branch straight to the join": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.outer)
            @step
            def a(self):
                self.next(self.a1, self.a2)
            @step
            def a1(self):
                self.next(self.inner)
            @step
            def a2(self):
                self.next(self.inner)
            @step
            def inner(self, inputs):
                self.next(self.outer)
            @step
            def outer(this, inputs):
                this.next(this.b, this.c)
            @step
            def b(self):
                self.next(self.last)
            @step
            def c(self):
                self.next(self.last)
            @step
            def last(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "a generator inside of a step": """
        class F(FlowSpec):
            @step
            def start(self):
                def numbers():
                    yield 1
                self.x = list(numbers())
                self.next(self.end)
            @step
            def end(self): ...
        """,
}


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
