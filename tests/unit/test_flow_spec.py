"""A flow object is one task at work: what it inherits, what it sets, what it leaves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from eventflow import context
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.inputs import Input, Inputs
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.step import step
from eventflow.errors import ArtifactMissing, ArtifactReadOnly, InvalidFlow
from tests.support.given import Given, joined


class Train(FlowSpec):
    rate = Parameter("learning-rate", default=0.1)
    depth = Parameter("depth", type=int)
    classes = ("a", "b")
    _hidden = "not an artifact"

    @step
    def start(self) -> None:
        self.rows = [1, 2]
        self.next(self.fit)

    @step
    def fit(self) -> None:
        self.rows.append(3)
        self.label = self.names[0]
        self.next(self.end)

    @step
    def silent(self) -> None:
        self.x = 1

    @step
    def twice(self) -> None:
        self.next(self.fit)
        self.next(self.end)

    @step
    def join(self, inputs: Inputs) -> None:
        self.total = sum(each.score for each in inputs)
        self.next(self.end)

    @step
    def end(self) -> None:
        pass

    @property
    def first(self) -> object:
        return self.names[0]

    def helper(self) -> str:
        return "helps"


def bound(inherited: Mapping[str, object] | None = None, rate: float | None = None) -> Train:
    flow = Train(use_cli=False)
    flow._bind(inherited or {}, None, {} if rate is None else {"learning-rate": rate, "depth": 3})
    return flow


def test_a_task_leaves_what_its_step_set_and_what_stays_the_same_in_the_run() -> None:
    flow = bound(rate=0.5)

    following = flow._run_step("start")

    assert following.steps == ("fit",)
    assert flow._new_artifacts() == {
        "rows": [1, 2],
        "rate": 0.5,
        "depth": 3,
        "classes": ("a", "b"),
    }


def test_inherited_artifacts_are_loaded_when_they_are_read_and_not_before() -> None:
    inherited = Given(rows=[1, 2], names=("x",), model="large", rate=0.1, depth=1, classes=())
    flow = bound(inherited)

    flow._run_step("fit")

    assert sorted(set(inherited.loaded)) == ["names", "rows"]
    assert "model" not in flow._new_artifacts()


def test_what_a_step_changes_in_place_is_a_new_version() -> None:
    flow = bound(Given(rows=[1, 2], names=["x"], rate=0.1, depth=1, classes=()))

    flow._run_step("fit")

    assert flow._new_artifacts()["rows"] == [1, 2, 3]


def test_what_cannot_change_is_not_stored_again() -> None:
    flow = bound(Given(title="t", rate=0.1, depth=1, classes=()))

    title = flow.title

    assert (title, flow._new_artifacts()) == ("t", {})


def test_a_missing_artifact_is_an_attribute_error_that_says_what_there_is() -> None:
    flow = bound(Given(rows=[1], model="m"))
    flow.mine = 1

    with pytest.raises(ArtifactMissing, match=r"no artifact 'modle' here. There is: mine, model"):
        _ = flow.modle
    assert not hasattr(flow, "modle")
    assert getattr(flow, "modle", 3) == 3


def test_a_property_that_lacks_an_artifact_names_the_artifact_and_not_itself() -> None:
    with pytest.raises(ArtifactMissing, match="no artifact 'names' here"):
        _ = bound().first

    assert bound({"names": ["x"]}).first == "x"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rate", "Parameter 'learning-rate' cannot be set"),
        ("classes", "is a constant of Train"),
        ("fit", "is a step"),
        ("next", "is taken"),
        ("name", "is taken"),
        ("_binding", "is taken"),
    ],
)
def test_what_is_read_only_cannot_be_set(name: str, reason: str) -> None:
    flow = bound()

    with pytest.raises(ArtifactReadOnly, match=reason):
        setattr(flow, name, 1)


def test_private_names_are_artifacts_like_any_other() -> None:
    flow = bound(Given(rate=1, depth=1, classes=()))

    flow._note = "kept"

    assert flow._new_artifacts() == {"_note": "kept"}


def test_parameters_and_constants_are_read_like_artifacts() -> None:
    flow = bound(rate=0.5)

    seen = (flow.rate, flow.depth, flow.classes, flow.name, flow.helper())

    assert seen == (0.5, 3, ("a", "b"), "Train", "helps")


def test_a_parameter_that_the_run_does_not_give_is_none() -> None:
    flow = bound()

    depth = flow.depth

    assert depth is None


def test_a_parameter_outside_of_a_run_has_no_value() -> None:
    flow = Train(use_cli=False)

    with pytest.raises(ArtifactMissing, match="'depth' has no value outside of a run"):
        _ = flow.depth


def test_a_step_that_ends_without_next_is_refused_with_its_place() -> None:
    flow = bound()

    with pytest.raises(InvalidFlow, match="'silent' ended without calling") as caught:
        flow._run_step("silent")

    (problem,) = caught.value.problems
    assert problem.file == __file__
    assert problem.line == Train.silent.__code__.co_firstlineno


def test_next_is_called_once() -> None:
    flow = bound()

    with pytest.raises(InvalidFlow, match="called a second time") as caught:
        flow._run_step("twice")

    assert caught.value.problems[0].line == Train.twice.__code__.co_firstlineno + 3


def test_next_takes_steps_and_nothing_else() -> None:
    flow = bound()

    with pytest.raises(InvalidFlow, match="names no step"):
        flow.next()
    with pytest.raises(InvalidFlow, match="takes steps"):
        flow.next(flow.helper)  # type: ignore[arg-type]
    with pytest.raises(InvalidFlow, match="takes steps"):
        flow.next("end")  # type: ignore[arg-type]


def test_a_join_reads_its_inputs_by_index_by_step_and_in_a_loop() -> None:
    flow = Train(use_cli=False)
    left, right = Given(score=1, model="l"), Given(score=2, model="r")
    flow._bind({}, joined(Input("left", left), Input("right", right)), {})

    following = flow._run_step("join")

    inputs = flow._binding.inputs
    assert inputs is not None
    assert (flow.total, following.steps) == (3, ("end",))
    assert (inputs[0].model, inputs.right.model, len(inputs)) == ("l", "r", 2)
    assert set(left.loaded) == {"score", "model"}
    with pytest.raises(ArtifactMissing, match="No step 'middle' leads to this join"):
        _ = inputs.middle
    with pytest.raises(ArtifactMissing, match="Step 'left' has no artifact 'x'"):
        _ = inputs.left.x


def test_a_join_inherits_nothing_and_says_where_to_read() -> None:
    flow = Train(use_cli=False)
    flow._bind({}, joined(Input("left", Given(model=1))), {})

    with pytest.raises(ArtifactMissing, match=r"from its inputs: inputs.<step>.model"):
        _ = flow.model


def test_a_flow_made_as_a_program_runs_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[type] = []
    monkeypatch.setattr(context, "run_flow_cli", asked.append)

    Train()
    Train(use_cli=False)

    assert asked == [Train]
