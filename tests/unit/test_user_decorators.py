"""Decorators that people write: their order, what they see, what they may do about a step."""

from __future__ import annotations

from typing import Any

import pytest

from eventflow import USER_SKIP_STEP, FlowSpec, UserStepDecorator, step, user_step_decorator
from eventflow.authoring.misuse import misuse_problems
from eventflow.authoring.user_decorators import Decorating, Following, run_within, wrappers_of
from eventflow.errors import InvalidFlow


class Told(FlowSpec):
    """Notes what happens."""

    def __init__(self) -> None:
        super().__init__(use_cli=False)
        self.told: list[str] = []

    def failing(self) -> None:
        """What a step that fails does."""
        raise ValueError("no rows")


def run(flow: Told, method: Any, *, inputs: Any = None) -> Following:
    """Run a method as the step `s`, within its decorators."""
    return run_within(wrappers_of(method), flow, "s", inputs, lambda: method(flow))


def says(name: str) -> Decorating:
    """A decorator that notes when it is entered and left."""

    @user_step_decorator
    def noted(step_name: str, flow: Any, inputs: Any = None, attributes: Any = None) -> Any:
        flow.told.append(f"{name} before {step_name}")
        yield
        flow.told.append(f"{name} after {step_name}")

    return noted


def test_the_uppermost_is_entered_first_and_left_last() -> None:
    @says("a")
    @step
    @says("b")
    def method(flow: Any) -> None:
        flow.told.append("step")

    flow = Told()
    following = run(flow, method)

    assert flow.told == ["a before s", "b before s", "step", "b after s", "a after s"]
    assert following is None


def test_attributes_come_as_a_dict() -> None:
    @user_step_decorator
    def marked(step_name: str, flow: Any, inputs: Any, attributes: Any) -> Any:
        yield
        flow.marks = (attributes, inputs)

    @marked(colour="red")
    def method(flow: Any) -> None: ...

    flow = Told()
    run(flow, method, inputs=[1])

    assert flow.marks == ({"colour": "red"}, [1])


def test_what_the_step_raises_can_be_caught_at_the_yield() -> None:
    @user_step_decorator
    def forgiving(step_name: str, flow: Any, inputs: Any = None) -> Any:
        try:
            yield
        except ValueError as error:
            flow.told.append(str(error))
        finally:
            flow.told.append("finally")

    flow = Told()
    following = run(flow, forgiving(Told.failing.__get__(None, Told)))

    assert flow.told == ["no rows", "finally"]
    assert following is True  # the step may not have come to its self.next


def test_what_is_not_caught_is_raised_after_all_were_left() -> None:
    @says("a")
    def method(flow: Any) -> None:
        raise ValueError("no rows")

    flow = Told()
    with pytest.raises(ValueError, match="no rows"):
        run(flow, method)

    assert flow.told == ["a before s"]


@pytest.mark.parametrize(
    ("said", "following"), [(USER_SKIP_STEP, True), ({"foreach": "rows"}, {"foreach": "rows"})]
)
def test_a_dict_skips_the_step_and_all_decorators_below(said: Any, following: Following) -> None:
    @user_step_decorator
    def skipping(step_name: str, flow: Any, inputs: Any = None) -> Any:
        yield said
        flow.told.append("after")

    @skipping
    @says("inner")
    def method(flow: Any) -> None:
        flow.told.append("step")

    flow = Told()

    assert run(flow, method) == following
    assert flow.told == ["after"]


def test_a_generator_that_does_not_yield_skips_the_step() -> None:
    @user_step_decorator
    def never(step_name: str, flow: Any, inputs: Any = None) -> Any:
        if flow is None:
            yield

    @never
    def method(flow: Any) -> None:
        flow.told.append("step")

    flow = Told()

    assert run(flow, method) is True
    assert flow.told == []


def test_a_function_that_is_yielded_runs_in_place_of_the_step() -> None:
    @user_step_decorator
    def instead(step_name: str, flow: Any, inputs: Any = None) -> Any:
        yield lambda flow: flow.told.append("other") or True

    @instead
    def method(flow: Any) -> None:
        flow.told.append("step")

    flow = Told()

    assert run(flow, method) is True
    assert flow.told == ["other"]


class Counted(UserStepDecorator):
    """Counts attempts, and forgives some."""

    def init(self, forgives: bool = False) -> None:  # type: ignore[override]
        self.forgives = forgives
        self.entered = 0

    def pre_step(self, step_name: str, flow: Any, inputs: Any = None) -> None:  # noqa: ARG002
        self.entered += 1
        flow.told.append(f"{step_name} {self.entered}")

    def post_step(self, step_name: str, flow: Any, exception: Any = None) -> Any:  # noqa: ARG002
        return None if self.forgives else exception


def test_a_class_stands_with_and_without_parentheses_above_and_below_step() -> None:
    class Flow(Told):
        @Counted
        @step
        def bare(self) -> None: ...

        @step
        @Counted(forgives=True)
        def failing(self) -> None:
            raise ValueError("no rows")

    flow = Flow()
    assert run(flow, Flow.bare) is None
    assert run(flow, Flow.bare) is None
    assert run(flow, Flow.failing) is True

    assert flow.told == ["s 1", "s 1", "s 1"]


def test_a_class_can_say_how_the_flow_goes_on() -> None:
    class Elsewhere(UserStepDecorator):
        def post_step(self, *_: Any, **__: Any) -> Any:
            return None, {"foreach": "rows"}

    @Elsewhere
    def method(flow: Any) -> None: ...

    assert run(Told(), method) == {"foreach": "rows"}


class TestMistakes:
    def test_a_function_that_does_not_yield_is_refused(self) -> None:
        with pytest.raises(InvalidFlow, match="stands on a generator function"):
            user_step_decorator(print)  # type: ignore[arg-type]

    def test_arguments_that_are_not_these_are_refused(self) -> None:
        with pytest.raises(InvalidFlow, match="takes 1 arguments: write def odd"):

            @user_step_decorator
            def odd(flow: Any) -> Any:
                yield

    def test_attributes_that_nobody_takes_are_refused(self) -> None:
        @user_step_decorator
        def plain(step_name: str, flow: Any, inputs: Any) -> Any:
            yield

        @plain(colour="red")
        def method(flow: Any) -> None: ...

        with pytest.raises(InvalidFlow, match="@plain takes no colour"):
            run(Told(), method)

    def test_a_second_yield_is_refused(self) -> None:
        @user_step_decorator
        def twice(step_name: str, flow: Any, inputs: Any) -> Any:
            yield
            yield

        @twice
        def method(flow: Any) -> None: ...

        with pytest.raises(InvalidFlow, match="@twice yields a second time"):
            run(Told(), method)

    def test_what_it_stands_on_has_to_be_a_method(self) -> None:
        marked: Any = Counted(type("F", (), {}))

        (problem,) = misuse_problems(marked)

        assert "@Counted stands on a step" in problem.message

    def test_attributes_have_names(self) -> None:
        with pytest.raises(InvalidFlow, match="@Counted takes its attributes by name"):
            Counted(True)
