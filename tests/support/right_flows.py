"""Flows that look odd and have no mistakes."""

from __future__ import annotations

__all__ = ["RIGHT"]

RIGHT = {
    "one step": """
        class F(FlowSpec):
            @step
            def all(self):
                self.x = 1
        """,
    "ends of other names": """
        class F(FlowSpec):
            @step(start=True)
            def extract(self):
                self.next(self.load)
            @step(end=True)
            def load(self): ...
        """,
    "foreach": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")
            @step
            def a(self):
                self.next(self.b, num_parallel=4)
            @step
            def b(self):
                self.next(self.inner)
            @step
            def inner(self, inputs):
                self.next(self.c, self.d)
            @step
            def c(self):
                self.next(self.both)
            @step
            def d(self):
                self.next(self.both)
            @step
            def both(self, inputs):
                self.next(self.outer)
            @step
            def outer(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "switches that meet again": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next({"big": self.big, "small": self.small, 3: self.big}, condition="size")
            @step
            def big(self):
                self.next(self.met)
            @step
            def small(self):
                self.next(self.met)
            @step
            def met(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "loops": """
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.a, foreach="rows")
            @step
            def a(self):
                self.next({True: self.a, False: self.b}, condition="goes_on")
            @step
            def b(self):
                self.next(self.c)
            @step
            def c(self):
                self.next({True: self.b, False: self.join}, condition="goes_on")
            @step
            def join(self, inputs):
                self.next(self.end)
            @step
            def end(self): ...
        """,
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
