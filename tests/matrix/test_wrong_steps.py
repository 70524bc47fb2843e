"""Mistakes that only show while a step runs: each is told with its line and what to do."""

from __future__ import annotations

import re

import pytest

from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow
from tests.matrix.play import Stage

SOURCE = flow(
    """
    rate = Parameter("rate", default=0.5)
    classes = ("a", "b")

    def an_empty_foreach(self):
        self.rows = []
        self.next(self.wrong, foreach="rows")  # ! self.rows is empty, so there is nothing to run

    def a_foreach_over_a_number(self):
        self.rows = 3
        self.next(self.wrong, foreach="rows")  # ! self.rows is a int, which has no items: set it

    def a_foreach_over_nothing(self):
        self.next(self.wrong, foreach="nowhere")  # ! has no artifact 'nowhere' here. There is:

    def a_value_without_a_case(self):
        self.way = "c"
        self.next({"a": self.wrong, "b": self.join}, condition="way")  # ! there are: 'a', 'b'. Add

    def a_value_that_is_no_key(self):
        self.way = ["a"]
        self.next({"a": self.wrong, "b": self.join}, condition="way")  # ! has the value ['a'], and

    def a_gang_of_none(self):
        self.next(self.wrong, num_parallel=0)  # ! takes a number of tasks from 1, not 0

    def a_step_that_is_called(self):
        self.next(None)  # ! self.next takes steps: write self.next(self.<step>)

    def a_parameter_that_is_set(self):
        setattr(self, "rate", 1)  # ! 'rate' cannot be set: it is the same in every step

    def a_constant_that_is_set(self):
        setattr(self, "classes", ())  # ! is a constant of Matrix and cannot be set

    def a_step_that_is_set(self):
        setattr(self, "join", 1)  # ! 'join' is a step; give the artifact another name

    def a_name_that_is_taken(self):
        setattr(self, "index", 1)  # ! self.index is taken; give the artifact another name

    def an_inherited_artifact_that_is_deleted(self):
        delattr(self, "kept")  # ! 'kept' comes from an earlier step and cannot be deleted: set it

    def a_read_one_that_is_deleted(self):
        self.rows_before.append(4)
        delattr(self, "rows_before")  # ! 'rows_before' comes from an earlier step

    def a_parameter_that_is_deleted(self):
        delattr(self, "rate")  # ! 'rate' is a parameter of Matrix and cannot be deleted

    def nothing_that_is_deleted(self):
        delattr(self, "nowhere")  # ! has no artifact 'nowhere' here. There is:

    def an_artifact_that_is_nowhere(self):
        print(self.nowhere)  # ! has no artifact 'nowhere' here. There is:

    def a_merge_outside_of_a_join(self):
        self.merge_artifacts([])  # ! merge_artifacts is for joins: steps that take inputs

    @step
    def start(self):
        names = [each for each in vars(type(self)) if each.startswith(("a_", "an_", "nothing_"))]
        self.names = names
        self.kept = 1
        self.rows_before = [1, 2, 3]
        self.next(self.wrong, foreach="names")
    """,
    """
    @catch(var="caught")
    @step
    def wrong(self):
        getattr(self, self.input)()
        self.next(self.unstorable)

    @catch(var="lock_caught")
    @step
    def unstorable(self):
        self.lock = __import__("threading").Lock()  # the mistake
        self.next(self.join)

    @step
    def join(self, inputs):
        self.reasons = {each.input: each.caught and each.caught.reason for each in inputs}
        self.merges = {}
        for name, given in {
            "one input": inputs[0],
            "a number": 3,
            "steps": [self.join],
        }.items():
            try:
                self.merge_artifacts(given)
            except Exception as error:
                self.merges[name] = f"{type(error).__name__}: {error}"
        try:
            inputs[0].before = 1
        except AttributeError as error:
            self.read_only = str(error)
        try:
            inputs[len(inputs)]
        except IndexError as error:
            self.beyond = str(error)
        self.lock_reason = inputs[0].lock_caught and inputs[0].lock_caught.reason
        self.next(self.end)
    """,
)


@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_a_mistake_of_a_running_step_is_told_with_its_line_and_what_to_do(stage: Stage) -> None:
    played = stage.flow(SOURCE)

    lines = SOURCE.splitlines()
    data = played.run.data
    assert played.run.state is RunState.SUCCEEDED, played.done.stderr
    assert len(data.reasons) == SOURCE.count("# ! ")
    for name, reason in data.reasons.items():
        first = next(i for i, line in enumerate(lines) if f"def {name}(" in line)
        number = next(i for i in range(first, len(lines)) if "# ! " in lines[i])
        assert lines[number].partition("# ! ")[2] in str(reason), name
        assert str(reason).endswith(f" (flow.py:{number + 1})"), name
        assert len(re.findall("flow.py", str(reason))) == 1, name
    (line,) = [i for i, each in enumerate(lines, 1) if "# the mistake" in each]
    assert all(
        each.startswith("InvalidMerge: merge_artifacts takes the inputs of the join")
        for each in data.merges.values()
    )
    assert len(data.merges) == 3
    assert "'before' of an input cannot be set" in data.read_only
    assert "17 tasks lead to this join" in data.beyond
    assert data.lock_reason.startswith("ArtifactNotStorable: Artifact 'lock' cannot be stored")
    assert data.lock_reason.endswith(f" (flow.py:{line})")
