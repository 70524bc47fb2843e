"""What `self.next(…)` says when it is called: which steps, how many tasks, over which items."""

from __future__ import annotations

from collections import UserList, deque
from typing import Any

import numpy as np
import pandas as pd
import pytest

from eventflow import FlowSpec, step
from eventflow.authoring.transition import Transition
from eventflow.errors import ArtifactMissing, InvalidFlow


class Going(FlowSpec):
    """Its steps are only named."""

    @step
    def one(self) -> None: ...

    @step
    def two(self) -> None: ...

    def not_a_step(self) -> None: ...


@pytest.fixture
def flow() -> Going:
    going = Going(use_cli=False)
    going._bind({"inherited": ["x", "y"]}, None, {})
    return going


def said(flow: Going, *steps: Any, **options: Any) -> Transition:
    """What a call of `self.next` leaves."""
    flow.next(*steps, **options)
    assert flow._transition is not None
    return flow._transition


class TestSteps:
    def test_steps_are_named_in_the_order_written(self, flow: Going) -> None:
        assert said(flow, flow.two, flow.one) == Transition(("two", "one"))

    @pytest.mark.parametrize("wrong", ["one", None, 7])
    def test_what_is_no_step_is_refused(self, flow: Going, wrong: object) -> None:
        with pytest.raises(InvalidFlow, match=r"self\.next takes steps: write self\.next"):
            flow.next(wrong)  # type: ignore[arg-type]

    def test_a_method_that_is_no_step_is_refused(self, flow: Going) -> None:
        with pytest.raises(InvalidFlow, match=r"self\.next takes steps"):
            flow.next(flow.not_a_step)

    def test_no_step_is_refused(self, flow: Going) -> None:
        with pytest.raises(InvalidFlow, match="names no step"):
            flow.next()

    def test_a_second_call_is_refused_and_the_first_one_counts(self, flow: Going) -> None:
        flow.next(flow.one)

        with pytest.raises(InvalidFlow, match="a second time"):
            flow.next(flow.two)

        assert flow._transition == Transition(("one",))

    def test_a_refusal_has_the_file_and_the_line_of_the_call(self, flow: Going) -> None:
        with pytest.raises(InvalidFlow) as caught:
            flow.next()

        (problem,) = caught.value.problems
        assert problem.file == __file__
        assert problem.line == caught.traceback[0].lineno + 1

    @pytest.mark.parametrize(
        "options",
        [
            {"foreach": "inherited", "num_parallel": 2},
            {"foreach": "inherited", "condition": "inherited"},
            {"num_parallel": 2, "condition": "inherited"},
        ],
    )
    def test_there_is_one_form_at_a_time(self, flow: Going, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidFlow, match="takes one of foreach="):
            flow.next(flow.one, **options)

    @pytest.mark.parametrize("options", [{"foreach": "inherited"}, {"num_parallel": 2}])
    def test_a_fan_out_leads_to_one_step(self, flow: Going, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidFlow, match="lead to one step"):
            flow.next(flow.one, flow.two, **options)


LASTING = {
    "list": [1, 2, 3],
    "tuple": (1, 2, 3),
    "text": "abc",
    "bytes": b"abc",
    "range": range(3),
    "deque": deque([1, 2, 3]),
    "array": np.zeros((3, 2)),
}
PASSING = {
    "dict": ({"a": 1, "b": 2}, ["a", "b"]),
    "values": ({"a": 1, "b": 2}.values(), [1, 2]),
    "set": ({7}, [7]),
    "series": (pd.Series([5, 6], index=[1, 0]), [5, 6]),
    "frame": (pd.DataFrame({"a": [1], "b": [2]}), ["a", "b"]),
}


class TestForeach:
    @pytest.mark.parametrize("items", LASTING.values(), ids=LASTING)
    def test_what_has_lasting_positions_is_kept_as_the_artifact_only(
        self, flow: Going, items: object
    ) -> None:
        flow.items = items

        assert said(flow, flow.one, foreach="items") == Transition(("one",), 3)
        assert "_foreach_items" not in flow._new_artifacts()

    @pytest.mark.parametrize(("items", "expected"), PASSING.values(), ids=PASSING)
    def test_of_what_has_none_the_items_are_kept_besides(
        self, flow: Going, items: object, expected: list[object]
    ) -> None:
        flow.items = items

        transition = said(flow, flow.one, foreach="items")

        assert (transition.splits, transition.items) == (len(expected), expected)
        assert flow._new_artifacts()["_foreach_items"] == expected

    def test_a_sequence_of_somebodys_own_is_one(self, flow: Going) -> None:
        flow.items = UserList([1, 2])

        assert said(flow, flow.one, foreach="items").splits == 2

    def test_an_artifact_of_a_task_before_will_do(self, flow: Going) -> None:
        assert said(flow, flow.one, foreach="inherited") == Transition(("one",), 2)

    def test_an_artifact_that_is_missing_is_named(self, flow: Going) -> None:
        with pytest.raises(ArtifactMissing, match="no artifact 'nowhere'"):
            flow.next(flow.one, foreach="nowhere")

    @pytest.mark.parametrize("items", [[], (), "", {}, set(), iter(()), np.zeros((0, 3))])
    def test_nothing_is_no_foreach(self, flow: Going, items: object) -> None:
        flow.items = items

        with pytest.raises(InvalidFlow, match=r"self\.items is empty.*Go around"):
            flow.next(flow.one, foreach="items")

    @pytest.mark.parametrize("items", [7, None, 1.5, len, np.array(5)])
    def test_what_has_no_items_is_refused_by_its_type(self, flow: Going, items: object) -> None:
        flow.items = items

        with pytest.raises(InvalidFlow, match=f"is a {type(items).__name__}, which has no"):
            flow.next(flow.one, foreach="items")

    def test_a_generator_is_used_up_once_and_becomes_the_list_of_its_items(
        self, flow: Going
    ) -> None:
        flow.items = (n * n for n in range(3))

        transition = said(flow, flow.one, foreach="items")

        assert transition == Transition(("one",), 3)
        assert flow._new_artifacts()["items"] == [0, 1, 4]


class TestGang:
    def test_it_has_as_many_tasks_as_it_says(self, flow: Going) -> None:
        assert said(flow, flow.one, num_parallel=4) == Transition(("one",), 4)

    @pytest.mark.parametrize("size", [0, -1, 1.5, "2", True])
    def test_a_size_that_is_none_is_refused(self, flow: Going, size: Any) -> None:
        with pytest.raises(InvalidFlow, match="takes a number of tasks from 1"):
            flow.next(flow.one, num_parallel=size)


class TestCondition:
    @pytest.mark.parametrize(("value", "step"), [(True, "one"), (False, "two")])
    def test_the_value_of_the_artifact_chooses(self, flow: Going, value: object, step: str) -> None:
        flow.which = value

        cases = {True: flow.one, False: flow.two}

        assert said(flow, cases, condition="which") == Transition((step,))

    @pytest.mark.parametrize("value", ["c", None, ["a"], {"a": 1}])
    def test_a_value_without_a_case_is_refused_with_those_that_there_are(
        self, flow: Going, value: object
    ) -> None:
        flow.which = value

        with pytest.raises(InvalidFlow, match="no case for it; there are: 'a', 'b'"):
            flow.next({"a": flow.one, "b": flow.two}, condition="which")

    @pytest.mark.parametrize("steps", [(), ({},), ({"a": "b"}, {"c": "d"}), ("a",)])
    def test_it_takes_one_dict_of_steps(self, flow: Going, steps: Any) -> None:
        flow.which = "a"

        with pytest.raises(InvalidFlow, match="the steps of a dict"):
            flow.next(*steps, condition="which")

    def test_a_dict_needs_a_condition(self, flow: Going) -> None:
        with pytest.raises(InvalidFlow, match="needs condition="):
            flow.next({"a": flow.one})
