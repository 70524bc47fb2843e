"""Joins: what waits for what, what is consumed, and what closes them (docs/protocols.md §5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from eventflow.model.conclusions import Reason
from eventflow.model.deployment import ParameterType
from eventflow.model.partition_state import Limits
from tests.support.machines import START, Machines, event, on, on_finish, parameter
from tests.support.machines import completion as completed

FAR_HOME = "p/test.a"


@pytest.fixture
def machines() -> Machines:
    machines = Machines()
    assert machines.part_of("p/prod") is not machines.part_of("p/*")
    return machines


def test_a_join_fires_when_every_name_has_an_event(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b", "c"))

    origins = [machines.say(event(name)) for name in ("b", "a", "c")]

    (request,) = machines.requests
    assert [cause.origin for cause in request.causes] == origins
    assert [machines.verdicts(each)[0][1] for each in origins] == ["held", "held", "started"]


def test_a_firing_consumes_everything_held(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    for name in ("a", "a", "a", "b", "b"):
        machines.say(event(name))

    machines.say(event("a"))

    assert [[cause.name for cause in each.causes] for each in machines.requests] == [
        ["a", "a", "a", "b"],
        ["b", "a"],
    ]
    assert list(machines.held()) == []
    assert all(key.startswith(b"active/") for part in machines.parts for key in part.folded)


def test_causes_are_oldest_first_by_their_own_time_then_by_offset(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    late, early = START + timedelta(hours=2), START + timedelta(hours=1)
    first = machines.say(event("a", at=late))
    second = machines.say(event("a", at=early))
    third = machines.say(event("a", at=early))

    fourth = machines.say(event("b", at=START))

    (request,) = machines.requests
    assert [cause.origin for cause in request.causes] == [fourth, second, third, first]


def test_parameters_come_from_the_latest_event_of_each_name(machines: Machines) -> None:
    mappings = {"a": {"x": "x"}, "b": {"y": "y"}}
    machines.deploy(
        "Join", on("a", "b", mappings=mappings), parameters=(parameter("x"), parameter("y"))
    )
    machines.say(event("a", payload={"x": 1}, at=START + timedelta(hours=9)))
    machines.say(event("a", payload={"x": 2}, at=START))

    machines.say(event("b", payload={"y": 3}))

    assert machines.requests[0].parameters == {"x": "1", "y": "3"}


def test_roots_and_hops_of_a_join_are_those_of_all_its_events(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    machines.say(event("a", hops=5))

    last = machines.say(event("b", hops=1))

    (request,) = machines.requests
    assert request.hops == 6
    assert request.roots == (last,)


def test_a_join_of_flows_waits_for_the_success_of_each(machines: Machines) -> None:
    machines.deploy("Join", on_finish("Up", "Down"))

    machines.say(completed("Up"))
    machines.say(completed("Down"))

    (request,) = machines.requests
    assert [cause.name for cause in request.causes] == ["Up", "Down"]


def test_an_event_without_its_required_field_is_not_counted(machines: Machines) -> None:
    machines.deploy(
        "Join",
        on("a", "b", mappings={"a": {"x": "x"}}),
        parameters=(parameter("x", is_required=True),),
    )
    origin = machines.say(event("a", payload={}))

    machines.say(event("b"))

    assert machines.verdicts(origin) == [("Join", "not matched", "field x missing")]
    assert machines.requests == []


def test_an_event_that_cannot_be_converted_is_not_counted(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b", mappings={"a": {"x": "x"}}), parameters=(parameter("x"),))
    machines.say(event("a", payload={"x": "many"}))

    machines.say(event("b"))

    assert [each.reason for each in machines.dead_letters] == [Reason.PARAMETER]
    assert machines.requests == []


def test_branches_join_apart_from_each_other(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    machines.deploy("Join", on("a", "b"), FAR_HOME)
    machines.say(event("a", "p/*"))

    machines.say(event("b", "p/prod"))

    assert [each.namespace for each in machines.requests] == ["p/prod"]
    assert [each.namespace for each in machines.held()] == [FAR_HOME]


def test_events_of_the_branch_and_of_the_project_meet_in_one_join(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    wide = machines.say(event("a", "p/*"))

    own = machines.say(event("b", "p/prod", at=START + timedelta(hours=1)))

    assert [cause.origin for cause in machines.requests[0].causes] == [wide, own]


# -- redeploys -----------------------------------------------------------------------------------


def test_a_redeploy_with_an_equal_trigger_keeps_the_join(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    machines.say(event("a"))
    machines.deploy("Join", on("a", "b"))

    machines.say(event("b"))

    (request,) = machines.requests
    assert request.version == 2
    assert len(request.causes) == 2


def test_a_redeploy_with_another_trigger_closes_the_join(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    origins = [machines.say(event("a")) for _ in range(2)]
    machines.deploy("Join", on("a", "c"))

    machines.say(event("b"))
    machines.say(event("c"))

    assert machines.requests == []
    for origin in origins:
        assert [each[1] for each in machines.verdicts(origin)] == ["held", "closed by redeploy"]
    assert [each.cause.name for each in machines.held()] == ["c"]


def test_deleting_closes_the_join(machines: Machines) -> None:
    machines.deploy("Join", on("a", "b"))
    origin = machines.say(event("a"))
    machines.delete("Join")
    machines.deploy("Join", on("a", "b"))

    machines.say(event("b"))

    assert machines.requests == []
    assert machines.verdicts(origin)[-1][1] == "closed by redeploy"


def test_the_mark_in_the_project_closes_nothing() -> None:
    machines = Machines(partitions=1)
    machines.deploy("Join", on("a", "b"))

    machines.deploy("Join", on("a", "c"), between=event("a"))
    machines.say(event("c"))

    assert [len(each.causes) for each in machines.requests] == [2]


def _forwarded_while_redeployed(machines: Machines, redeploy: object) -> None:
    """An event of version 1 arrives at a home that has read a later mark already."""
    machines.deploy("Join", on("a", "b"))
    machines.run()
    machines.append(event("a", "p/*"))
    machines.deploy("Join", redeploy) if redeploy else machines.delete("Join")  # type: ignore[arg-type]
    machines.step(machines.part_of("p/prod"), 100)
    machines.run()


def test_a_forward_of_an_older_version_with_an_equal_trigger_joins(machines: Machines) -> None:
    _forwarded_while_redeployed(machines, on("a", "b"))

    machines.say(event("b"))

    assert [len(each.causes) for each in machines.requests] == [2]


def test_the_version_of_a_firing_is_that_of_the_event_that_completes_it(
    machines: Machines,
) -> None:
    machines.deploy("Join", on("a", "b"))
    machines.run()
    machines.append(event("a", "p/*"))
    machines.deploy("Join", on("a", "b"))
    machines.append(event("b", "p/prod"))
    machines.step(machines.part_of("p/prod"), 100)

    machines.run()

    (request,) = machines.requests
    assert request.version == 1
    assert {cause.name for cause in request.causes} == {"a", "b"}


@pytest.mark.parametrize("redeploy", [on("a", "c"), on("a"), None])
def test_a_forward_of_a_join_that_was_closed_meanwhile_says_so(
    machines: Machines, redeploy: object
) -> None:
    _forwarded_while_redeployed(machines, redeploy)

    machines.say(event("b"))

    assert machines.requests == []
    closed = [each for each in machines.decisions if each.verdict.value == "closed by redeploy"]
    assert [(each.event_name, each.version) for each in closed] == [("a", 1)]


def test_a_held_event_that_no_longer_fits_when_the_join_would_fire_is_given_up(
    machines: Machines,
) -> None:
    trigger = on("a", "b", mappings={"a": {"x": "x"}})
    text = (parameter("x", ParameterType.STR),)
    machines.deploy("Join", trigger, parameters=text)
    misfit = machines.say(event("a", payload={"x": "many"}))
    machines.deploy("Join", trigger, parameters=(parameter("x"),))

    machines.say(event("b"))
    machines.say(event("a", payload={"x": 3}))

    (letter,) = machines.dead_letters
    assert letter.reason is Reason.PARAMETER
    assert letter.held is not None
    assert letter.held.cause.origin == misfit
    (request,) = machines.requests
    assert request.parameters == {"x": "3"}
    assert [cause.name for cause in request.causes] == ["b", "a"]


def test_an_earlier_event_serves_when_the_latest_no_longer_fits(machines: Machines) -> None:
    trigger = on("a", "b", mappings={"a": {"x": "x"}})
    machines.deploy("Join", trigger, parameters=(parameter("x", ParameterType.STR),))
    machines.say(event("a", payload={"x": "3"}))
    machines.say(event("a", payload={"x": "many"}))
    machines.deploy("Join", trigger, parameters=(parameter("x"),))

    machines.say(event("b"))

    assert [each.parameters for each in machines.requests] == [{"x": "3"}]
    assert len(machines.dead_letters) == 1
    assert list(machines.held()) == []


# -- limits --------------------------------------------------------------------------------------


def test_the_oldest_events_of_a_full_join_become_dead_letters() -> None:
    machines = Machines(limits=Limits(join_events=2))
    machines.deploy("Join", on("a", "b"))

    origins = [machines.say(event("a")) for _ in range(4)]

    assert [each.cause.origin for each in machines.held()] == origins[2:]
    assert [each.reason for each in machines.dead_letters] == [Reason.JOIN_FULL] * 2
    assert [each.held.cause.origin for each in machines.dead_letters if each.held] == origins[:2]
    assert [each[1] for each in machines.verdicts(origins[0])] == ["held", "dead letter"]


def test_a_full_join_still_fires() -> None:
    machines = Machines(limits=Limits(join_events=2))
    machines.deploy("Join", on("a", "b"))
    for name in ("a", "a"):
        machines.say(event(name))

    machines.say(event("b"))

    assert [len(each.causes) for each in machines.requests] == [3]
    assert machines.dead_letters == []


def test_a_join_is_full_by_bytes_too_but_the_last_event_always_has_room() -> None:
    machines = Machines(limits=Limits(join_bytes=100))
    machines.deploy("Join", on("a", "b"))
    machines.say(event("a", payload=b"x" * 60))
    machines.say(event("a", payload=b"x" * 40))

    last = machines.say(event("a", payload=b"x" * 200))

    assert [each.cause.origin for each in machines.held()] == [last]
    assert len(machines.dead_letters) == 2


def test_one_full_join_leaves_the_others_alone() -> None:
    machines = Machines(limits=Limits(join_events=1))
    machines.deploy("Full", on("a", "b"))
    machines.deploy("Other", on("c", "d"))
    machines.say(event("c"))

    machines.say(event("a"))
    machines.say(event("a"))

    assert sorted(each.cause.name for each in machines.held()) == ["a", "c"]


def test_lower_limits_drop_nothing_at_a_restore() -> None:
    machines = Machines()
    machines.deploy("Join", on("a", "b"))
    for _ in range(3):
        machines.say(event("a"))
    home = machines.part_of("p/prod")

    home.limits = replace(home.limits, join_events=1)
    machines.crash(home)

    assert len(list(machines.held())) == 3
