"""Flows with each kind of mistake.

A line with a mistake ends in `# ! <part of the message>`; a flow has exactly the mistakes that it
is marked with.
"""

from __future__ import annotations

__all__ = ["WRONG"]

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
            @step
            def other(self):
                self.next(self.start)
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
                self.next(self.end(), "end", *self.x)  # ! self.end()  # ! 'end'  # ! *self
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
    "a first step that goes nowhere": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.finish)  # ! or write the step that it names
        """,
    "odd forms of next": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b, foreach="rows")  # ! foreach= leads to one step
            @step
            def a(self):
                self.next(self.b, foreach=["x"])  # ! foreach= takes the name of an artifact
            @step
            def b(self):
                self.next(self.c, foreach="x", num_parallel=4)  # ! one of foreach=, num_parallel=
            @step
            def c(self):
                self.next({"x": self.end})  # ! a dict needs condition=
            @step
            def d(self):
                self.next(self.end, condition="x")  # ! among the steps of a dict
            @step
            def e(self):
                self.next({}, condition="x")  # ! names no step
            @step
            def f(self):
                self.next({"x": self.end, "y": "end"}, condition="x")  # ! not 'end'
            @step
            def g(self):
                self.next(self.end, num_parallel=0)  # ! a number of tasks from 1, not 0
            @step
            def end(self): ...
        """,
    "a foreach that nobody joins": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")
            @step
            def a(self):
                self.next(self.end)
            @step
            def end(self): ...  # ! while the split in 'start' is open
        """,
    "a foreach straight into a join": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end, foreach="rows")
            @step
            def end(self, inputs): ...  # ! leads straight to it
        """,
    "two foreaches joined at once": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")
            @step
            def a(self):
                self.next(self.b, foreach="columns")
            @step
            def b(self):
                self.next(self.join)
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...  # ! while the split in 'start' is open
        """,
    "a case that leaves a foreach": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")
            @step
            def a(self):
                self.next({"on": self.join, "off": self.end}, condition="x")
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...  # ! not all are in the same branch
        """,
    "a branch with two joins": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, self.b)
            @step
            def a(self):
                self.next({1: self.one, 2: self.two}, condition="x")
            @step
            def b(self):
                self.next({1: self.one, 2: self.two}, condition="x")
            @step
            def one(self, inputs):
                self.next(self.end)
            @step
            def two(self, inputs):  # ! lead 'one' to it as well
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "a loop without a way out": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next({"on": self.end, "off": self.a}, condition="x")
            @step
            def a(self):  # ! never comes to 'end'
                self.next({"on": self.a, "off": self.b}, condition="x")
            @step
            def b(self):  # ! never comes to 'end'
                self.next(self.a)
            @step
            def end(self): ...
        """,
    "ends that are said twice": """
        class F(FlowSpec):
            @step(start=True)
            def begin(self):
                self.next(self.start)
            @step(start=True)
            def start(self):  # ! stands on 'begin' too
                self.next(self.finish)
            @step(end=True)
            def finish(self):
                self.next(self.end)  # ! is the last
            @step
            def end(self): ...  # ! @step(end=True) on 'finish'  # ! dead end
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
