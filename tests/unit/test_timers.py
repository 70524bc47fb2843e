"""Timers in the trigger machine: armed by marks, fired as time passes, each due time once."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from eventflow.model.run import RunRequest, run_id_of
from eventflow.model.timetable import Timetable, due_origin
from tests.support.machines import START, Machines, completion, event, on, on_finish, parameter

NEAR = "p/prod"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = Timetable("0 * * * *", "UTC")
QUARTERS = Timetable("*/15 * * * *", "UTC")


def due_times(machines: Machines) -> list[datetime]:
    return [each.causes[0].at for each in machines.requests]


def versions(machines: Machines) -> list[int]:
    return [each.version for each in machines.requests]


def deployed(schedule: Timetable | None = HOURLY) -> Machines:
    """Flow `One` is live in p/prod; its mark was appended a second after START, 6:00."""
    machines = Machines()
    machines.deploy("One", None, schedule=schedule)
    machines.run()
    return machines


def test_a_timer_fires_at_its_due_time_and_not_before() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)

    machines.pass_time(part, START + HOUR - timedelta(microseconds=1))
    before = list(machines.requests)
    machines.pass_time(part, START + HOUR)

    assert before == []
    assert due_times(machines) == [START + HOUR]


def test_a_request_says_what_was_due() -> None:
    machines = Machines()
    machines.deploy("One", on("a"), schedule=HOURLY, parameters=(parameter("n", default="3"),))
    machines.run()

    machines.pass_time(machines.part_of(NEAR), START + HOUR + MINUTE)

    (request,) = machines.requests
    (cause,) = request.causes
    origin = due_origin(START + HOUR)
    assert request.run_id == run_id_of(NEAR, "One", [origin])
    assert (request.parameters, request.roots, request.hops) == ({"n": "3"}, (), 1)
    assert (cause.origin, cause.kind.value, cause.name) == (origin, "schedule", "0 * * * * UTC")
    assert cause.event_id == "2026-01-31T07:00:00Z"
    assert json.loads(cause.payload) == {
        "cron": "0 * * * *",
        "timezone": "UTC",
        "due_at": "2026-01-31T07:00:00Z",
        "skipped": 0,
    }
    assert machines.verdicts(origin) == [("One", "started", "")]
    assert machines.decisions[-1].decided_at == START + HOUR + MINUTE


def test_a_timer_fires_before_what_follows_from_a_later_record() -> None:
    machines = deployed()

    machines.append(event("a", NEAR), after=HOUR - 2 * MINUTE)
    machines.append(event("a", NEAR), after=HOUR)
    machines.append(event("a", NEAR), after=HOUR)
    machines.run()

    assert due_times(machines) == [START + HOUR, START + 2 * HOUR]


def test_records_of_a_backlog_decide_by_which_version_a_timer_fires() -> None:
    machines = deployed()

    machines.append(event("a", NEAR), after=HOUR)
    machines.deploy("One", None, schedule=HOURLY)
    machines.append(event("a", NEAR), after=HOUR)
    machines.run()

    assert versions(machines) == [1, 2]


def test_each_due_time_comes_once_however_often_the_machine_crashes() -> None:
    machines = deployed(QUARTERS)
    part = machines.part_of(NEAR)

    for minutes in range(0, 121, 5):
        machines.pass_time(part, START + minutes * MINUTE, is_lost=minutes % 3 == 0)
        machines.pass_time(part, START + minutes * MINUTE)
        machines.crash(part)

    assert due_times(machines) == [START + quarter * 15 * MINUTE for quarter in range(1, 9)]


def test_of_several_missed_due_times_the_latest_is_started_and_says_so() -> None:
    machines = deployed()

    machines.pass_time(machines.part_of(NEAR), START + 3 * DAY + MINUTE)
    machines.pass_time(machines.part_of(NEAR), START + 3 * DAY + HOUR)

    assert due_times(machines) == [START + 3 * DAY, START + 3 * DAY + HOUR]
    payload = json.loads(machines.requests[0].causes[0].payload)
    assert (payload["skipped"], payload["skipped_since"]) == (71, "2026-01-31T07:00:00Z")
    assert machines.verdicts(due_origin(START + 3 * DAY)) == [
        ("One", "started", "71 due times were skipped before it, from 2026-01-31T07:00:00Z on")
    ]


def test_counting_what_was_skipped_ends_some_day() -> None:
    machines = deployed(Timetable("* * * * *", "UTC"))

    machines.pass_time(machines.part_of(NEAR), START + 30 * DAY)

    assert due_times(machines) == [START + 30 * DAY]
    (decision,) = [each for each in machines.decisions if each.run_id]
    assert decision.reason.startswith("more than 10001 due times were skipped")


def test_a_redeploy_with_an_equal_schedule_keeps_the_timer() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)
    (timer,) = part.state.timers

    machines.deploy("One", on("other"), schedule=Timetable("0 * * * *", "UTC"))
    machines.run()
    machines.pass_time(part, START + HOUR)

    assert timer.due_at == START + HOUR
    assert (due_times(machines), versions(machines)) == ([START + HOUR], [2])


def test_another_schedule_replaces_the_timer() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)

    machines.deploy("One", None, schedule=Timetable("30 * * * *", "UTC"))
    machines.run()
    machines.pass_time(part, START + HOUR)

    assert due_times(machines) == [START + HOUR / 2]


def test_what_fired_ahead_of_the_log_is_not_due_again_after_a_change() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)
    machines.pass_time(part, START + HOUR)

    machines.deploy("One", None, schedule=QUARTERS)  # at 6:00 by the brokers
    machines.run()
    machines.pass_time(part, START + HOUR)

    assert due_times(machines) == [START + HOUR]
    assert [each.due_at for each in part.state.timers] == [START + HOUR + 15 * MINUTE]


def test_a_version_without_a_schedule_and_a_deletion_end_it() -> None:
    machines = deployed()
    machines.deploy("Two", None, schedule=HOURLY)

    machines.deploy("One", None)
    machines.delete("Two")
    machines.run()
    machines.pass_time(machines.part_of(NEAR), START + DAY)

    assert machines.requests == []
    assert not any(b"timer" in key for part in machines.parts for key in part.folded)


def test_a_timer_lives_at_the_home_of_its_deployment_only() -> None:
    machines = Machines()
    for namespace in ("p/prod", "p/test.a"):
        machines.deploy("One", None, namespace, schedule=HOURLY)
    machines.run()

    for part in machines.parts:
        machines.pass_time(part, START + HOUR)

    assert sorted((each.namespace, each.flow) for each in machines.requests) == [
        ("p/prod", "One"),
        ("p/test.a", "One"),
    ]


def test_either_of_schedule_and_trigger_starts_the_flow() -> None:
    machines = Machines()
    machines.deploy("Join", on("a", "b"), schedule=HOURLY)
    machines.deploy("After", on_finish("Up"), schedule=HOURLY)
    machines.say(event("a", NEAR))
    machines.pass_time(machines.part_of(NEAR), START + HOUR)
    machines.say(event("b", NEAR))
    machines.say(completion("Up", NEAR))

    assert [(each.flow, kinds(each)) for each in machines.requests] == [
        ("After", ["schedule"]),
        ("Join", ["schedule"]),
        ("Join", ["event", "event"]),
        ("After", ["completion"]),
    ]


def kinds(request: RunRequest) -> list[str]:
    return [cause.kind.value for cause in request.causes]


def test_a_timetable_that_cannot_be_read_here_is_a_dead_letter_and_the_flow_lives() -> None:
    machines = Machines()

    machines.deploy("One", on("a"), schedule=Timetable("0 * * * *", "Mars/Base"))
    machines.say(event("a", NEAR))

    (letter,) = machines.dead_letters
    assert (letter.reason.value, letter.deployment) == ("schedule", (NEAR, "One", 1))
    assert "Mars/Base" in letter.message
    assert [each.flow for each in machines.requests] == ["One"]


def test_a_version_that_can_no_longer_be_read_starts_nothing_and_says_so() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)
    machines.deployments.clear()
    machines.crash(part)

    machines.pass_time(part, START + HOUR)

    assert machines.requests == []
    assert machines.verdicts(due_origin(START + HOUR)) == [
        ("One", "not matched", "its version cannot be read")
    ]
    assert [each.due_at for each in part.state.timers] == [START + 2 * HOUR]


def test_a_version_that_comes_after_a_deletion_does_not_fire_again_what_was_fired_ahead() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)
    machines.pass_time(part, START + HOUR)  # by the clock: the records have not come so far

    machines.delete("One")
    machines.run()
    machines.crash(part)
    machines.deploy("One", None, schedule=QUARTERS)
    machines.run()
    machines.pass_time(part, START + HOUR)

    assert due_times(machines) == [START + HOUR]
    assert [each.due_at for each in part.state.timers] == [START + HOUR + 15 * MINUTE]


def test_what_was_let_go_is_forgotten_when_the_records_have_come_so_far() -> None:
    machines = deployed()
    part = machines.part_of(NEAR)
    machines.pass_time(part, START + HOUR)
    machines.delete("One")
    machines.run()
    kept = [each.due_at for each in part.state.timers]

    machines.append(event("a", NEAR), after=HOUR)
    machines.run()

    assert kept == [None]
    assert list(part.state.timers) == []
    assert not any(b"timer" in key for key in part.folded)
