"""A flow class that changes no more is looked through once."""

from eventflow import FlowSpec, Parameter, step
from eventflow.authoring.flow_ends import ends_of
from eventflow.authoring.members import constants_of, parameters_of, settle, steps_of


def flow_class() -> type:
    class Trained(FlowSpec):
        rows = Parameter("rows", default=1)
        kind = "weekly"

        @step
        def start(self) -> None:
            self.next(self.end)

        @step
        def end(self) -> None:
            pass

    return Trained


def test_a_settled_flow_has_what_it_had() -> None:
    trained = flow_class()
    before = [ask(trained) for ask in (steps_of, parameters_of, constants_of, ends_of)]

    settle(trained)

    assert [ask(trained) for ask in (steps_of, parameters_of, constants_of, ends_of)] == before


def test_a_flow_that_is_not_settled_may_still_change() -> None:
    trained = flow_class()
    _ = constants_of(trained)

    trained.region = "north"  # type: ignore[attr-defined]

    assert constants_of(trained) == {"kind": "weekly", "region": "north"}


def test_a_flow_below_a_settled_one_is_another() -> None:
    trained = flow_class()
    settle(trained)

    below = type("Below", (trained,), {"region": "north"})

    assert constants_of(below) == {"kind": "weekly", "region": "north"}
