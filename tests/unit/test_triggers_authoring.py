"""Triggers as authors write them: every shape that is taken, every mistake that is named."""

from __future__ import annotations

from typing import Any

import pytest

from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.parameters import parameter_specs
from eventflow.authoring.trigger_declarations import (
    namespaced_event_name,
    schedule,
    trigger,
    trigger_on_finish,
)
from eventflow.authoring.triggers import compile_trigger, trigger_problems
from eventflow.errors import InvalidTrigger
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger


class Parameters(FlowSpec):
    alpha = Parameter("Alpha", default=1)
    beta = Parameter("beta")


CONTEXT = DeployContext("F", "ann", "shop/prod")


def compiled(*decorators: Any, base: type = Parameters) -> Trigger | None:
    """The trigger of a flow with these decorators, the first one on top."""
    flow = decorated(*decorators, base=base)
    return compile_trigger(flow, parameter_specs(flow), CONTEXT)


def decorated(*decorators: Any, base: type = Parameters) -> type:
    class F(base):  # type: ignore[misc]
        pass

    flow: type = F
    for decorate in reversed(decorators):
        flow = decorate(flow)
    return flow


def refused(*decorators: Any, base: type = Parameters) -> list[str]:
    """What is said against the trigger, without the place."""
    with pytest.raises(InvalidTrigger) as caught:
        compiled(*decorators, base=base)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{__file__}:") for line in lines)
    return [line.split(": ", 1)[1] for line in lines]


def mapping(**fields: str) -> tuple[FieldMapping, ...]:
    return tuple(FieldMapping(name, field) for name, field in fields.items())


OWN_NAMES = mapping(Alpha="Alpha", beta="beta")

TAKEN: dict[str, tuple[Any, dict[str, tuple[FieldMapping, ...]]]] = {
    "name": (trigger(event="x"), {"x": OWN_NAMES}),
    "namespaced name": (trigger(event=namespaced_event_name("x")), {"x": OWN_NAMES}),
    "dict": (trigger(event={"name": "x"}), {"x": OWN_NAMES}),
    "dict of fields": (
        trigger(event={"name": "x", "parameters": {"Alpha": "a", "beta": "table.name"}}),
        {"x": mapping(Alpha="a", beta="table.name")},
    ),
    "list": (
        trigger(event={"name": "x", "parameters": ["beta", ("Alpha", "a")]}),
        {"x": mapping(Alpha="a", beta="beta")},
    ),
    "list of lists": (
        trigger(event={"name": "x", "parameters": [["Alpha", "a"]]}),
        {"x": mapping(Alpha="a")},
    ),
    "tuple of names": (
        trigger(event={"name": "x", "parameters": ("Alpha", "beta")}),
        {"x": OWN_NAMES},
    ),
    "nothing mapped, on purpose": (
        trigger(event={"name": "x", "parameters": {}}),
        {"x": ()},
    ),
    "list of one": (trigger(events=["x"]), {"x": OWN_NAMES}),
    "several map nothing by themselves": (trigger(events=["y", "x"]), {"x": (), "y": ()}),
    "several with a mapping": (
        trigger(events=("y", {"name": "x", "parameters": ["beta"]})),
        {"x": mapping(beta="beta"), "y": ()},
    ),
    "function": (
        trigger(event=lambda context: f"{context.branch_name}_landed"),
        {"prod_landed": OWN_NAMES},
    ),
    "function of a dict": (
        trigger(event=lambda context: {"name": "x", "parameters": {"beta": context.user_name}}),
        {"x": mapping(beta="ann")},
    ),
    "function of a list": (
        trigger(events=lambda context: ["x", context.project_name]),
        {"shop": (), "x": ()},
    ),
    "functions inside": (
        trigger(
            event={
                "name": lambda context: context.project_name,
                "parameters": lambda context: (("beta", context.branch_name),),
            }
        ),
        {"shop": mapping(beta="prod")},
    ),
    "flow": (trigger_on_finish(flow="Train"), {"Train": ()}),
    "flow as dict": (trigger_on_finish(flow={"name": "Train", "project": None}), {"Train": ()}),
    "flows": (trigger_on_finish(flows=["B", {"name": "A"}]), {"A": (), "B": ()}),
    "flow by function": (trigger_on_finish(flow=lambda context: context.flow_name), {"F": ()}),
}


@pytest.mark.parametrize("shape", TAKEN)
def test_a_shape_that_is_taken_means_these_subscriptions(shape: str) -> None:
    decorator, expected = TAKEN[shape]

    found = compiled(decorator)

    source = Source.COMPLETION if shape.startswith("flow") else Source.EVENT
    subscriptions = tuple(Subscription(name, fields) for name, fields in expected.items())
    assert found == Trigger(source, subscriptions)


REFUSED = {
    "both": (trigger(event="x", events=["y"]), "takes event= or events=, not both"),
    "neither": (trigger(), "names no event"),
    "empty": (trigger(events=[]), "names no event"),
    "empty by function": (trigger(events=lambda context: context.flow_name[:0] or []), "names no"),
    "twice": (trigger(events=["x", "y", {"name": "x"}]), "names event 'x' twice"),
    "twice by function": (
        trigger(events=[lambda context: context.project_name, "shop"]),
        "names event 'shop' twice",
    ),
    "no event": (trigger(event=5), "5 is no event"),  # type: ignore[arg-type]
    "no list": (trigger(events="x"), "events= is a list, not 'x'"),
    "a function of neither": (trigger(event=lambda context: [context]), "is no event"),
    "no name": (trigger(event={"parameters": ["beta"]}), 'says no "name"'),
    "name of another type": (trigger(event={"name": 5}), 'says no "name"'),
    "an odd key": (trigger(event={"name": "x", "parameter": []}), "does not know 'parameter'"),
    "an odd name": (trigger(event="data updated"), "is no event name"),
    "another namespace": (trigger(event="shop/prod/x"), "comes in a later version"),
    "an odd mapping": (trigger(event={"name": "x", "parameters": 5}), "parameters= cannot be 5"),
    "an odd pair": (
        trigger(event={"name": "x", "parameters": [("beta",)]}),
        "parameters= cannot have ('beta',)",
    ),
    "an odd field": (
        trigger(event={"name": "x", "parameters": {"beta": "a b"}}),
        "'a b' is no payload field",
    ),
    "a reserved field": (
        trigger(event={"name": "x", "parameters": {"beta": "timestamp"}}),
        "'timestamp' is reserved",
    ),
    "no such parameter": (
        trigger(event={"name": "x", "parameters": ["alpha"]}),
        "there is no parameter 'alpha' to map to; there is: Alpha, beta",
    ),
    "a parameter mapped twice": (
        trigger(events=[{"name": each, "parameters": ["beta"]} for each in "xy"]),
        "parameter 'beta' is mapped 2 times",
    ),
    "reset": (trigger(event="x", options={"reset_at": {"cron": "0 0 * * *"}}), "later version"),
    "an odd option": (trigger(event="x", options={"reset": 1}), "'reset': …} is not known"),
    "no options": (trigger(event="x", options=5), "options= is a dict"),  # type: ignore[arg-type]
    "flow and flows": (trigger_on_finish(flow="A", flows=["B"]), "takes flow= or flows="),
    "no flow": (trigger_on_finish(), "names no flow"),
    "flows twice": (trigger_on_finish(flows=["A", "A"]), "names flow 'A' twice"),
    "a flow in full": (trigger_on_finish(flow="shop.user.bob.A"), "another project's"),
    "a flow by path": (trigger_on_finish(flow="shop/prod/A"), "another project's"),
    "a flow with one dot": (trigger_on_finish(flow="shop.A"), "has one dot: a flow is Flow, or"),
    "half a project": (
        trigger_on_finish(flow={"name": "A", "project": "shop"}),
        "says 'project' and not 'project_branch': say both",
    ),
    "half a branch": (
        trigger_on_finish(flow={"name": "A", "project_branch": "prod"}),
        "says 'project_branch' and not 'project': say both",
    ),
    "a function that fails": (
        trigger(events=["x", lambda context: {"A": 1}[context.flow_name]]),
        "fails with KeyError: 'F'. It is asked with a DeployContext",
    ),
    "a function of another kind": (
        trigger(event=lambda: "x"),  # type: ignore[arg-type]
        "fails with TypeError: <lambda>() takes 0 positional arguments but 1 was given",
    ),
    "a flow of a project": (
        trigger_on_finish(flow={"name": "A", "project": "shop", "project_branch": "prod"}),
        "another project's or branch's flow comes in a later version",
    ),
    "an odd flow": (trigger_on_finish(flow="A-B"), "no name of a flow"),
    "parameters of a flow": (
        trigger_on_finish(flow={"name": "A", "parameters": ["beta"]}),
        "does not know 'parameters'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_named_with_the_place_of_the_class(case: str) -> None:
    decorator, reason = REFUSED[case]

    mistakes = refused(decorator)

    assert len(mistakes) == 1
    assert reason in mistakes[0]
    assert mistakes[0].startswith(("@trigger: ", "@trigger_on_finish: "))


def test_all_mistakes_come_at_once() -> None:
    mistakes = refused(
        schedule(cron="99 * * * *"),
        trigger(events=["a b", {"name": "x", "parameters": 5}], options={"reset_at": {}}),
        trigger_on_finish(flow="p.b.A"),
    )

    assert len(mistakes) == 6
    assert mistakes[0].startswith("@trigger and @trigger_on_finish on one flow")
    assert mistakes[1].startswith("@schedule: '99 * * * *' is no cron expression")


def test_a_decorator_stands_once() -> None:
    mistakes = refused(trigger(event="x"), trigger(event="y"))

    assert mistakes == ["@trigger stands 2 times: write one, events=[…]."]


def test_a_required_parameter_has_to_come_from_an_event() -> None:
    class Strict(FlowSpec):
        day = Parameter("day", required=True)

    whole = compiled(trigger(event="x"), base=Strict)
    mistakes = [
        refused(decorator, base=Strict)
        for decorator in (
            trigger(events=["x", "y"]),
            trigger(event={"name": "x", "parameters": {}}),
            trigger_on_finish(flow="A"),
        )
    ]

    assert whole == Trigger(Source.EVENT, (Subscription("x", mapping(day="day")),))
    assert all("parameter 'day' is required and no event gives it" in each[0] for each in mistakes)


def test_the_order_in_which_events_are_written_makes_no_difference() -> None:
    one = compiled(trigger(events=["a", {"name": "b", "parameters": ["beta", "Alpha"]}]))
    other = compiled(trigger(events=[{"name": "b", "parameters": ["Alpha", "beta"]}, "a"]))

    assert one == other


def test_a_flow_that_nothing_starts_has_no_trigger() -> None:
    assert compiled() is None


def test_a_class_with_triggers_of_its_own_inherits_none() -> None:
    base = decorated(trigger(event="old"))

    inherited = compiled(base=base)
    own = compiled(trigger_on_finish(flow="A"), base=base)

    assert inherited == Trigger(Source.EVENT, (Subscription("old", OWN_NAMES),))
    assert own == Trigger(Source.COMPLETION, (Subscription("A"),))


def test_a_check_asks_no_function_and_names_what_shows_without() -> None:
    def never(context: DeployContext) -> str:
        raise AssertionError(context)

    flow = decorated(
        trigger(events=[never, "a b", {"name": "x", "parameters": never}, {"name": never}])
    )

    (problem,) = trigger_problems(flow)

    assert "'a b' is no event name" in problem.message
    assert problem.file == __file__
    assert trigger_problems(decorated(trigger(events=never))) == []


def test_the_dict_of_an_author_is_left_alone() -> None:
    event = {"name": "x", "parameters": {"beta": "b"}}

    compiled(trigger(event=event))

    assert event == {"name": "x", "parameters": {"beta": "b"}}
