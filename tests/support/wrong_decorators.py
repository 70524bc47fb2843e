"""Flows with mistakes in their own decorators and in the marks of their steps; marked as in
`wrong_flows`. Mistakes in decorators of steps are in `tests/unit/test_step_decorators.py`."""

from __future__ import annotations

__all__ = ["WRONG_DECORATORS"]

WRONG_DECORATORS = {
    "a project that cannot be": """
        @project(name="Fraud Detection")
        class F(FlowSpec):  # ! no project name
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "decorators of flows": """
        @project(nme="shop")  # ! no attribute 'nme'; it has: name.  # ! @project needs name=
        @trigger("landed")  # ! takes its attributes by name: @trigger(event=…)
        @trigger_on_finish(flw="A")  # ! no attribute 'flw'; it has: flow, flows, options
        @schedule("0 0 * * *", "UTC")  # ! takes its attributes by name: @schedule(cron=…)
        @exit_hook(on_sucess=[])  # ! no attribute 'on_sucess'; it has: on_success, on_error
        @pypi_base(package={})  # ! no attribute 'package'; it has: packages, python, disabled
        @pypi(packages={})  # ! for all of its steps there is @pypi_base
        @retry(times=1)  # ! @retry stands on a step
        @timeout  # ! @timeout stands on a step
        class F(FlowSpec):
            @trigger(event="landed")  # ! @trigger stands on a flow
            @schedule  # ! @schedule stands on a flow
            @project(name="shop")  # ! @project stands on a flow
            @pypi_base(packages={})  # ! for one step there is @pypi
            @step
            def start(self):
                self.next(self.end)
            @exit_hook  # ! @exit_hook stands on a flow
            @step
            def end(self): ...
        """,
    "odd marks of steps": """
        @step  # ! @step stands on a method of the flow
        class F(FlowSpec):
            @step(begin=True)  # ! @step has no attribute 'begin'; it has: start, end
            def start(self):
                self.next(self.end)
            @step("last")  # ! @step takes its attributes by name
            def end(self): ...
        """,
    "a project without its name": """
        @project  # ! @project needs name=: write @project(name=…)
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
    "two projects": """
        @project(name="shop", branch="b")  # ! The branch is said on the command line: --branch
        @project(name="shop")  # ! stands twice: keep one
        @project(name="bank")
        class F(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """,
}
