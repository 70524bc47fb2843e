"""`@schedule` as authors write it: every form that is taken, every mistake that is named."""

from __future__ import annotations

from typing import Any

import pytest

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.parameters import parameter_specs
from eventflow.authoring.trigger_declarations import schedule, trigger
from eventflow.authoring.triggers import compile_schedule, compile_trigger, trigger_problems
from eventflow.errors import InvalidTrigger
from eventflow.model.timetable import Timetable


class Parameters(FlowSpec):
    alpha = Parameter("alpha", default=1)


def decorated(*decorators: Any, base: type = Parameters) -> type:
    class F(base):  # type: ignore[misc]
        pass

    flow: type = F
    for decorate in reversed(decorators):
        flow = decorate(flow)
    return flow


def refused(*decorators: Any, base: type = Parameters) -> list[str]:
    """What is said against the schedule, without the place."""
    flow = decorated(*decorators, base=base)
    with pytest.raises(InvalidTrigger) as caught:
        compile_trigger(flow, parameter_specs(flow))
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{__file__}:") for line in lines)
    assert [problem.message for problem in trigger_problems(flow)] == [
        line.split(": ", 1)[1] for line in lines
    ]
    return [line.split(": ", 1)[1] for line in lines]


TAKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing said": ({}, "0 0 * * *", "UTC"),
    "daily": ({"daily": True}, "0 0 * * *", "UTC"),
    "hourly counts before daily": ({"hourly": True}, "0 * * * *", "UTC"),
    "weekly counts before hourly": ({"weekly": True, "hourly": True}, "0 0 * * SUN", "UTC"),
    "cron counts before all": ({"cron": "5 4 * * *", "weekly": True}, "5 4 * * *", "UTC"),
    "zone": (
        {"cron": "0 9 * * MON-FRI", "timezone": "Asia/Tokyo"},
        "0 9 * * MON-FRI",
        "Asia/Tokyo",
    ),
    "question mark": ({"cron": "0 9 ? * *"}, "0 9 * * *", "UTC"),
    "six fields of AWS": ({"cron": "0 10 * * ? *"}, "0 10 * * *", "UTC"),
    "six fields with a weekday": ({"cron": "0/15 8 ? * MON-FRI *"}, "0/15 8 * * MON-FRI", "UTC"),
    "third Monday": ({"cron": "0 10 ? * MON#3 *"}, "0 10 * * MON#3", "UTC"),
    "last day": ({"cron": "0 10 L * ? *"}, "0 10 L * *", "UTC"),
}


@pytest.mark.parametrize(("said", "cron", "zone"), TAKEN.values(), ids=list(TAKEN))
def test_a_form_that_is_taken(said: dict[str, Any], cron: str, zone: str) -> None:
    flow = decorated(schedule(**said))

    trigger_of_flow = compile_trigger(flow, parameter_specs(flow))

    assert compile_schedule(flow) == Timetable(cron, zone)
    assert trigger_of_flow is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no time": ({"daily": False}, "says no time"),
    "no such minute": ({"cron": "60 * * * *"}, "is no cron expression: Bad minute"),
    "no such day": ({"cron": "0 0 30 2 *"}, "is no cron expression: Bad day-of-month"),
    "four fields": ({"cron": "* * * *"}, "has 4 fields, five are expected"),
    "AWS with its name": ({"cron": "cron(0 10 * * ? *)"}, "write its fields only"),
    "seconds": ({"cron": "0 0 12 * * *"}, "may be meant as seconds"),
    "seconds of Quartz": ({"cron": "0 0 12 * * ?"}, "may be meant as seconds"),
    "year": ({"cron": "0 10 * * ? 2027"}, "ends with a year"),
    "counted weekday": ({"cron": "0 10 ? * 2 *"}, "write their names"),
    "weekday nearest": ({"cron": "0 10 15W * ? *"}, "is no cron expression"),
    "zone": ({"timezone": "Europe/Berln"}, "There is no time zone 'Europe/Berln'"),
    "zone as a path": ({"timezone": "../UTC"}, "There is no time zone"),
    "cron as a number": ({"cron": 5}, "cron is 5: write it as a string"),
    "hourly as a number": ({"hourly": 2}, "hourly is 2: write True or False"),
}


@pytest.mark.parametrize(("said", "reason"), WRONG.values(), ids=list(WRONG))
def test_a_mistake_is_named(said: dict[str, Any], reason: str) -> None:
    (mistake,) = refused(schedule(**said))

    assert mistake.startswith("@schedule")
    assert reason in mistake


def test_a_required_parameter_has_to_have_a_default() -> None:
    class Strict(FlowSpec):
        day = Parameter("day", required=True)

    (mistake,) = refused(trigger(event="x"), schedule(hourly=True), base=Strict)

    assert "parameter 'day' is required" in mistake
    assert "give it a default" in mistake


def test_a_schedule_stands_once() -> None:
    (mistake,) = refused(schedule(hourly=True), schedule(weekly=True))

    assert mistake == "@schedule stands 2 times: write one, with a cron= for all."


def test_a_schedule_and_a_trigger_stand_on_one_flow() -> None:
    flow = decorated(schedule(hourly=True), trigger(event="x"))

    found = compile_trigger(flow, parameter_specs(flow))

    assert found is not None
    assert compile_schedule(flow) == Timetable("0 * * * *", "UTC")


def test_a_flow_without_a_schedule_has_none() -> None:
    assert compile_schedule(decorated(trigger(event="x"))) is None
