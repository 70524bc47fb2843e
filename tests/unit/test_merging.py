"""`merge_artifacts`: what a join takes over, what it refuses, and that it loads nothing."""

from __future__ import annotations

import pytest

from eventflow import FlowSpec, Parameter, step
from eventflow.authoring.inputs import Input
from eventflow.errors import (
    ArtifactMissing,
    InvalidMerge,
    MissingInMergeArtifacts,
    UnhandledInMergeArtifacts,
)
from tests.support.given import Given, joined


class Joining(FlowSpec):
    """Has a constant and a parameter."""

    LIMIT = 3
    day = Parameter("day")

    @step
    def start(self) -> None: ...


def a_join(*given: Given) -> tuple[Joining, list[Input]]:
    """A join of these inputs, and what it is given."""
    inputs = [Input(f"branch{number}", each) for number, each in enumerate(given)]
    join = Joining(use_cli=False)
    join._bind({}, joined(*inputs), {"day": "monday"})
    return join, inputs


def test_what_the_inputs_agree_on_is_taken_over_and_what_only_one_has_as_well() -> None:
    join, inputs = a_join(Given(rows=[1], left=1), Given(rows=[1], right=2))

    join.merge_artifacts(inputs)

    assert (join.rows, join.left, join.right) == ([1], 1, 2)


def test_nothing_is_loaded_before_it_is_read() -> None:
    left, right = Given(rows=[1]), Given(rows=[1])
    join, inputs = a_join(left, right)

    join.merge_artifacts(inputs)
    before = left.loaded + right.loaded
    _ = join.rows

    assert before == []
    assert left.loaded + right.loaded == ["rows"]


def test_all_that_differs_is_named_and_nothing_is_taken_over() -> None:
    join, inputs = a_join(Given(a=1, b=1, c=1), Given(a=2, b=1, c=2))

    with pytest.raises(UnhandledInMergeArtifacts, match="a, c") as caught:
        join.merge_artifacts(inputs)

    assert caught.value.artifact_names == ["a", "c"]
    with pytest.raises(ArtifactMissing):
        _ = join.b


def test_after_a_refusal_another_try_may_succeed() -> None:
    join, inputs = a_join(Given(a=1, b=1), Given(a=2, b=1))
    with pytest.raises(UnhandledInMergeArtifacts):
        join.merge_artifacts(inputs)

    join.a = 3
    join.merge_artifacts(inputs)

    assert (join.a, join.b) == (3, 1)


def test_what_the_join_has_set_stays_and_resolves_a_difference() -> None:
    join, inputs = a_join(Given(a=1), Given(a=2))
    join.a = "mine"

    join.merge_artifacts(inputs)

    assert join.a == "mine"


def test_what_is_excluded_is_not_taken_over_and_may_differ() -> None:
    join, inputs = a_join(Given(a=1, b=5), Given(a=2, b=5))

    join.merge_artifacts(inputs, exclude=["a"])

    assert join.b == 5
    assert not hasattr(join, "a")


def test_with_include_nothing_else_is_taken_over_nor_looked_at() -> None:
    join, inputs = a_join(Given(a=1, b=5, c=6), Given(a=2, b=5, c=6))

    join.merge_artifacts(inputs, include=["b"])

    assert join.b == 5
    assert not hasattr(join, "a")
    assert not hasattr(join, "c")


def test_what_is_included_and_differs_is_refused() -> None:
    join, inputs = a_join(Given(a=1), Given(a=2))

    with pytest.raises(UnhandledInMergeArtifacts, match="a: set each"):
        join.merge_artifacts(inputs, include=["a"])


def test_what_is_included_and_nowhere_is_named() -> None:
    join, inputs = a_join(Given(a=1), Given(a=1))

    with pytest.raises(MissingInMergeArtifacts, match="x, y") as caught:
        join.merge_artifacts(inputs, include=["y", "a", "x"])

    assert caught.value.artifact_names == ["x", "y"]


def test_what_is_included_and_set_by_the_join_is_not_missing() -> None:
    join, inputs = a_join(Given(a=1), Given(a=1))
    join.x = 1

    join.merge_artifacts(inputs, include=["x", "a"])

    assert (join.x, join.a) == (1, 1)


def test_include_and_exclude_exclude_each_other() -> None:
    join, inputs = a_join(Given(a=1), Given(a=1))

    with pytest.raises(InvalidMerge, match="not both"):
        join.merge_artifacts(inputs, include=["a"], exclude=["b"])


def test_parameters_constants_and_what_is_private_are_no_matter_of_a_merge() -> None:
    join, inputs = a_join(
        Given(LIMIT=1, day="a", _note=1, rows=1), Given(LIMIT=2, day="b", _note=2, rows=1)
    )

    join.merge_artifacts(inputs)

    assert (join.LIMIT, join.day, join.rows) == (3, "monday", 1)
    assert not hasattr(join, "_note")


def test_a_step_that_is_no_join_has_nothing_to_merge() -> None:
    task = Joining(use_cli=False)
    task._bind({}, None, {})

    with pytest.raises(InvalidMerge, match="is for joins"):
        task.merge_artifacts([])


def test_a_second_merge_is_refused() -> None:
    join, inputs = a_join(Given(a=1), Given(a=1))
    join.merge_artifacts(inputs)

    with pytest.raises(InvalidMerge, match="a second time"):
        join.merge_artifacts(inputs)


def test_some_of_the_inputs_may_be_merged() -> None:
    join, inputs = a_join(Given(a=1), Given(a=1, b=2), Given(a=9))

    join.merge_artifacts(inputs[:2])

    assert (join.a, join.b) == (1, 2)


def test_what_was_merged_and_changed_in_place_is_a_new_version_of_the_join() -> None:
    join, inputs = a_join(Given(rows=[1]), Given(rows=[1]))
    join.merge_artifacts(inputs)

    join.rows.append(2)

    assert join._new_artifacts()["rows"] == [1, 2]
