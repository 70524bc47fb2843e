"""The checker finds nothing in a good history, and each of its checks complains of a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from eventflow.model.completion import Completion, Outcome
from eventflow.model.decision import Decision, Verdict
from eventflow.model.deployment import Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.graph import ExitHooks
from eventflow.model.run import Cancellation, Heartbeat, RunPosition, RunRecord, RunRequest, Working
from eventflow.model.state import ActiveVersion, HeldEvent, Timer
from eventflow.model.timetable import due_origin
from tests.simulation.checker import complaints_of
from tests.simulation.checks_of_ends import CHECKS_OF_ENDS
from tests.simulation.checks_of_runs import CHECKS_OF_RUNS
from tests.simulation.checks_of_schedules import CHECKS_OF_SCHEDULES, SCHEDULE
from tests.simulation.checks_of_starts import CHECKS_OF_STARTS
from tests.simulation.history import Fate
from tests.simulation.made_history import MadeHistory, good, scheduled
from tests.simulation.plain_calendar import every
from tests.support.machines import START, event, on

Change = Callable[[MadeHistory], object]


def _put(made: MadeHistory, suffix: str) -> int:
    puts = made.bucket.puts
    return next(at for at, put in enumerate(puts) if put.key.endswith(suffix))


def _overwrite(made: MadeHistory) -> None:
    put = made.bucket.puts[_put(made, "/end.json")]
    made.bucket.put(put.key, put.data + b" ", 1)


def _rewrite(made: MadeHistory, suffix: str, **changes: object) -> None:
    at = _put(made, suffix)
    put = made.bucket.puts[at]
    data = json.dumps(json.loads(put.data) | changes).encode()
    made.bucket.puts[at] = replace(put, data=data)


def _lose_object(made: MadeHistory, suffix: str) -> None:
    del made.bucket.puts[_put(made, suffix)]


def _delay_object(made: MadeHistory, suffix: str) -> None:
    at = _put(made, suffix)
    made.bucket.puts[at] = replace(made.bucket.puts[at], stamp=made.stamp())


def _mark_failed_run(made: MadeHistory) -> None:
    made.bucket.put("projects/shop/prod/Train/successful/0/0/0-nobody", b"", 1)


def _swap_decisions(made: MadeHistory) -> None:
    records, at = made.place(Decision)
    one, other = (at, at + 2)
    mine, yours = records[one], records[other]
    records[one] = replace(mine, value=yours.value)
    records[other] = replace(yours, value=mine.value)


def _change_fate(made: MadeHistory) -> None:
    made.tasks[:] = [replace(each, fate=Fate.DONE) for each in made.tasks]


def _fail_strangely(made: MadeHistory) -> None:
    made.tasks[0] = replace(made.tasks[0], fate=Fate.FAILED, why="CorruptObject")


def _start_early(made: MadeHistory) -> None:
    made.tasks[0] = replace(made.tasks[0], sequence=1)


def _start_elsewhere(made: MadeHistory) -> None:
    made.tasks[1] = replace(made.tasks[1], runner=8)


def _consume_again(made: MadeHistory) -> None:
    (first,) = made.requests("Merge")
    made.log(replace(first, run_id="rother"))


def _give_up(made: MadeHistory) -> None:
    place = {"topic": "events", "partition": "0", "offset": "0"}
    headers = tuple((f"ef_origin_{name}", text.encode()) for name, text in place.items())
    record = made.records["events"][0]
    made.records["dead-letters"] = [replace(record, topic="dead-letters", headers=headers)]


def _hear_others(made: MadeHistory) -> None:
    (request,) = made.requests("Merge")
    causes = tuple(replace(each, namespace="other/prod") for each in request.causes)
    made.change(RunRequest, _number_of(made, request), causes=causes)


def _number_of(made: MadeHistory, request: RunRequest) -> int:
    found = [made.codec.decode(each.value) for each in made.records["run-requests"]]
    return found.index(request)


def _astray(made: MadeHistory) -> None:
    made.oddities.append("runner-0 died of an AssertionError")


def _unrest(made: MadeHistory) -> None:
    made.is_at_rest = False


def _cancelled() -> MadeHistory:
    """A run that was cancelled while it waited, and one whose exit hook has told its end."""
    made = MadeHistory()
    made.deploy("Train", on("landed"), exit_hooks=ExitHooks(("tell",)))
    for number in range(2):
        made.publish(event("landed", "shop/prod", id=f"e{number}"))
    waits, succeeds = made.requests("Train")
    made.log(Heartbeat("runner0", "host", "boot", 1, 1, (), False, START))
    made.cancel(waits)
    made.execute(succeeds, hook="tell")
    return made


def _ask_late(made: MadeHistory) -> None:
    records, at = made.place(Cancellation)
    records[at] = replace(records[at], sequence=made.stamp())


def _change_hook(made: MadeHistory, **changes: object) -> None:
    made.tasks[-1] = replace(made.tasks[-1], **changes)  # type: ignore[arg-type]


def _accept_after_cancel(made: MadeHistory) -> None:
    """By a runner that was not there when the cancellation was acknowledged."""
    (waits, _), runner = made.requests("Train"), "runner1"
    heartbeat = made.log(Heartbeat(runner, "host", "boot", 2, 1, (), False, START))
    accepted = made.log(RunRecord(waits.run_id, 1, runner, waits, START))
    for records, record in ((made.records["runners"], heartbeat), (made.records["runs"], accepted)):
        records[records.index(record)] = replace(record, writer=99)


def _stay(made: MadeHistory) -> None:
    """A runner lists a run that has ended, again and again."""
    working = (Working(made.requests("Train")[0].run_id, 1),)
    for number in range(5):
        sent_at = START + timedelta(seconds=number)
        made.log(Heartbeat("runner1", "host", "boot", 2, 1, working, False, sent_at))


def _go_on(made: MadeHistory) -> None:
    made.tasks.append(replace(made.tasks[0], sequence=made.stamp(), runner=0))


_STARTED = "each_due_time_is_started_once_or_accounted_for"
_STANDING = "timers_stand_for_what_is_due_next"


def _due(made: MadeHistory, number: int) -> int:
    """The n-th decision about a due time, among all."""
    records, _ = made.place(Decision)
    decisions = [made.codec.decode(each.value) for each in records]
    found = [at for at, each in enumerate(decisions) if _is_due(each)]
    return found[number]


def _is_due(record: object) -> bool:
    return isinstance(record, Decision) and record.origin.topic == SCHEDULE


def _shift(made: MadeHistory, by: timedelta) -> None:
    """The last due time is another one."""
    last = START + timedelta(seconds=40) + by
    made.change(Decision, _due(made, -1), origin=due_origin(last), decided_at=last)


_WRONG: dict[str, Change] = {
    "acknowledged_events_stand": lambda made: made.drop(EventRecord, 2),
    "every_event_is_decided": lambda made: made.drop(Decision, -1),
    "no_event_is_decided_twice": lambda made: made.again(Decision),
    "decisions_are_what_the_log_says": lambda made: made.change(
        Decision, verdict=Verdict.NOT_MATCHED
    ),
    "decisions_follow_the_log": _swap_decisions,
    "each_start_is_requested_once": lambda made: made.again(RunRequest),
    "requests_say_what_caused_them": lambda made: made.change(RunRequest, version=2),
    "requests_agree_with_decisions": lambda made: made.drop(RunRequest),
    "forwards_are_made_once": lambda made: made.again(Forward),
    "joins_consume_each_event_once": _consume_again,
    "held_events_stay_held": lambda made: made.drop(HeldEvent, -1),
    "versions_in_force_are_known": lambda made: made.drop(ActiveVersion),
    "positions_never_go_back": lambda made: made.again(RunPosition, next_request=0),
    "only_hopeless_records_are_given_up": _give_up,
    "namespaces_start_nothing_in_others": _hear_others,
    "runs_are_accepted_once": lambda made: made.again(RunRecord),
    "epochs_go_up_one_by_one": lambda made: made.again(RunRecord, epoch=3, outcome=None),
    "every_requested_run_ends": lambda made: made.drop(RunRecord, 1),
    "ends_agree": lambda made: made.change(Completion, outcome=Outcome.CANCELLED),
    "completions_come_once": lambda made: made.again(Completion),
    "completions_come_after_the_end": lambda made: _delay_object(made, "/end.json"),
    "only_successful_runs_are_marked_so": _mark_failed_run,
    "objects_are_never_overwritten": _overwrite,
    "manifests_name_what_stands": lambda made: _lose_object(made, "end/0/0/artifacts.json"),
    "manifests_are_one_execution": lambda made: _rewrite(
        made, "end/0/0/artifacts.json", inputs=[[2, "start", "0", 0]]
    ),
    "runs_fail_for_a_reason": _change_fate,
    "tasks_fail_for_a_reason": _fail_strangely,
    "tasks_start_once": _start_elsewhere,
    "tasks_start_after_the_beginning": _start_early,
    "runs_can_be_found": lambda made: _rewrite(made, "/run.json", causes=[]),
    "the_installation_comes_to_rest": _unrest,
    "no_process_goes_astray": _astray,
}


_WRONG_ENDS: dict[str, Change] = {
    "only_what_was_cancelled_ends_so": _ask_late,
    "cancellations_are_decided_before_they_are_read": lambda made: made.log(
        Cancellation(made.requests("Train")[0].run_id, "again", START)
    ),
    "what_was_cancelled_is_not_begun_later": _accept_after_cancel,
    "nothing_starts_where_the_end_was_decided": _go_on,
    "what_has_ended_is_let_go": _stay,
    "hooks_are_called_before_the_completion": lambda made: _change_hook(made, until=made.stamp()),
    "hooks_are_those_of_the_end": lambda made: _change_hook(made, hook="mourn"),
    "hooks_end_with_the_completion": lambda made: _change_hook(made, sequence=made.stamp()),
}


def _checks_that_complain(made: MadeHistory) -> set[str]:
    return {each.check for each in complaints_of(made.history)}


def test_a_good_history_gives_no_complaint() -> None:
    made = good()

    assert complaints_of(made.history) == []
    assert len(made.requests("Train")) == 2
    assert len(made.tasks) == 6


@pytest.mark.parametrize("check", [each.__name__ for each in (*CHECKS_OF_STARTS, *CHECKS_OF_RUNS)])
def test_each_check_complains_of_what_it_is_for(check: str) -> None:
    made = good()

    _WRONG[check](made)

    assert check in _checks_that_complain(made)


def test_a_good_history_of_a_cancelled_run_and_of_a_hook_gives_no_complaint() -> None:
    made = _cancelled()

    assert complaints_of(made.history) == []
    assert {each.__name__ for each in CHECKS_OF_ENDS} == _WRONG_ENDS.keys()


@pytest.mark.parametrize("check", _WRONG_ENDS)
def test_what_is_wrong_with_a_cancelled_run_or_a_hook_is_seen(check: str) -> None:
    made = _cancelled()

    _WRONG_ENDS[check](made)

    assert check in _checks_that_complain(made)


_WRONG_SCHEDULES: dict[str, tuple[str, Change]] = {
    "requested and decided twice": (_STARTED, lambda made: made.again(Decision, _due(made, -1))),
    "never started": (_STARTED, lambda made: made.drop(Decision, _due(made, 0))),
    "too early": (_STARTED, lambda made: made.change(Decision, _due(made, -1), decided_at=START)),
    "by another version": (_STARTED, lambda made: made.change(Decision, _due(made, -1), version=2)),
    "not when it was due": (_STARTED, lambda made: _shift(made, timedelta(seconds=5))),
    "skipped, and not counted": (_STARTED, lambda made: _shift(made, timedelta(seconds=10))),
    "without a schedule in force": (
        _STARTED,
        lambda made: made.change(Deployment, 0, schedule=None),
    ),
    "over an older mark": (
        _STARTED,
        lambda made: made.deploy("Tick", None, schedule=every(10)),
    ),
    "a timer is gone": (_STANDING, lambda made: made.drop(Timer, -1)),
    "a timer is set wrong": (_STANDING, lambda made: made.change(Timer, -1, due_at=START)),
}


def test_a_good_history_of_a_schedule_gives_no_complaint() -> None:
    made = scheduled()

    assert complaints_of(made.history) == []
    assert len(made.requests("Tick")) == 2
    assert {each.__name__ for each in CHECKS_OF_SCHEDULES} == {_STARTED, _STANDING}


@pytest.mark.parametrize(("check", "wrong"), _WRONG_SCHEDULES.values(), ids=list(_WRONG_SCHEDULES))
def test_what_is_wrong_with_a_schedule_is_seen(check: str, wrong: Change) -> None:
    made = scheduled()

    wrong(made)

    assert check in _checks_that_complain(made)


def test_a_redeploy_with_another_trigger_closes_a_join_and_with_an_equal_one_keeps_it() -> None:
    made = MadeHistory()
    made.deploy("Merge", on("landed", "approved"))
    made.publish(event("landed", "shop/prod"))
    made.deploy("Merge", on("landed", "approved"))
    made.publish(event("landed", "shop/prod"))
    made.deploy("Merge", on("landed", "other"))
    made.publish(event("landed", "shop/prod"))

    assert _checks_that_complain(made) == set()
    assert not made.requests("Merge")


def test_a_full_join_gives_up_its_oldest_event() -> None:
    made = MadeHistory(join_events=2)
    made.deploy("Merge", on("landed", "approved"))
    for number in range(3):
        made.publish(event("landed", "shop/prod", at=START + timedelta(seconds=number)))

    assert _checks_that_complain(made) == {"only_hopeless_records_are_given_up"}


def test_an_id_that_comes_with_another_payload_is_given_up() -> None:
    made = MadeHistory()
    made.deploy("Train", on("landed"))
    made.publish(event("landed", "shop/prod", {"n": 1}, id="e"))
    made.publish(event("landed", "shop/prod", {"n": 2}, id="e"))
    for request in made.requests("Train"):
        made.execute(request)

    assert _checks_that_complain(made) == {"only_hopeless_records_are_given_up"}
