"""The one end of a run: decided in the store, then published, whatever is away or dies between."""

from __future__ import annotations

import pytest

from eventflow.execution.driver import FAULT_POINTS as DRIVER_POINTS
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskKey
from eventflow.services.runner import FAULT_POINTS
from eventflow.store.layout import index_key
from tests.support.runner_doubles import Crashed
from tests.support.runner_rig import FLOW, NAMESPACE, RunnerRig, any_rig, rig

__all__ = ["any_rig", "rig"]


def _is_marked_successful(rig: RunnerRig, run_id: str) -> bool:
    record = rig.record(run_id)
    assert record is not None
    at = record.request.requested_at
    key = index_key(NAMESPACE, FLOW, run_id, at, successful=True)
    return rig.store.info(key) is not None


def test_a_run_that_succeeds_has_an_end_a_record_and_a_completion(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = rig.request()

    rig.execute(run_id, runner)

    end, record = rig.end(run_id), rig.record(run_id)
    (completion,) = rig.completions(run_id)
    assert end is not None
    assert record is not None
    assert (end.outcome, end.epoch) == (Outcome.SUCCEEDED, 1)
    assert end.manifest == {f"{step}/0": TaskKey(1, step) for step in ("start", "train", "end")}
    assert (record.outcome, completion.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert record.finished_at == completion.finished_at
    assert runner.runner.is_drained
    assert runner.count("runs_ended_total", outcome="succeeded") == 1


def test_a_run_that_fails_has_a_completion_that_says_so_and_why(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = rig.request()
    rig.until(lambda: runner.tasks.running_steps(run_id) == ["start"], runner)
    runner.tasks.succeed(run_id, "start")
    rig.until(lambda: runner.tasks.running_steps(run_id) == ["train"], runner)

    runner.tasks.fail(run_id, "train", "ValueError: no rows")
    rig.until(lambda: rig.completions(run_id), runner)

    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.FAILED
    assert completion.reason == "Step train failed: ValueError: no rows"
    assert not _is_marked_successful(rig, run_id)
    assert runner.tasks.steps_of(run_id) == [(1, "start"), (1, "train")]


def test_end_and_mark_of_success_stand_before_record_and_completion_come_together(
    rig: RunnerRig,
) -> None:
    runner = rig.process()
    run_id = rig.request()
    _bring_to_its_last_task(rig, run_id)
    runner.tasks.succeed(run_id, "end")

    rig.crash(runner, "runner.appended")

    record = rig.record(run_id)
    assert rig.end(run_id) is not None
    assert _is_marked_successful(rig, run_id)
    assert rig.completions(run_id) == []
    assert record is not None
    assert record.outcome is None


def test_what_a_dead_runner_left_uncommitted_never_shows_and_the_next_publishes_it_once(
    any_rig: RunnerRig,
) -> None:
    rig, first = any_rig, any_rig.process(host="here")
    run_id = rig.request()
    _bring_to_its_last_task(rig, run_id)
    first.tasks.succeed(run_id, "end")
    rig.crash(first, "runner.appended")

    second = rig.process(host="here")
    rig.outlast_session(second)

    (completion,) = rig.completions(run_id)
    record = rig.record(run_id)
    assert record is not None
    assert (completion.outcome, record.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert second.tasks.started == []
    assert second.count("completions_recovered_total") == 1


def _bring_to_its_last_task(rig: RunnerRig, run_id: str) -> None:
    (runner,) = rig.processes
    for step in ("start", "train"):
        rig.until(lambda: runner.tasks.running_steps(run_id), runner)
        runner.tasks.succeed(run_id, step)
    rig.until(lambda: runner.tasks.running_steps(run_id), runner)


def test_the_end_waits_for_a_store_that_is_away(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = rig.request()
    _bring_to_its_last_task(rig, run_id)
    runner.tasks.succeed(run_id, "end")
    runner.store.is_cut = True
    rig.pass_time(60, runner)
    assert rig.end(run_id) is None
    assert rig.completions() == []

    runner.store.is_cut = False
    rig.pass_time(1, runner)

    (completion,) = rig.completions(run_id)
    assert (completion.outcome, completion.epoch) == (Outcome.SUCCEEDED, 1)


_AT_ITS_START = ("runner.beaten", "runner.acquired", "runner.restored")
_TWICE = ("runner.appended", "runner.committed", "driver.task-started", "driver.task-ended")
_ELSEWHERE = ("runner.reported", "runner.said-gone")  # reached in the tests of take-overs


@pytest.mark.parametrize(
    ("point", "nth"),
    [(each, 1) for each in (*FAULT_POINTS, *DRIVER_POINTS) if each not in _ELSEWHERE]
    + [(each, 2) for each in _TWICE],
)
def test_a_runner_that_dies_anywhere_leaves_one_end_and_one_completion(
    rig: RunnerRig, point: str, nth: int
) -> None:
    first = rig.process()
    if point not in _AT_ITS_START:
        rig.own(first)
    run_id = rig.request()
    first.moments.die_at(point, nth)
    with pytest.raises(Crashed, match=point):
        rig.execute(run_id, first)
    rig.lose(first)

    second = rig.process()
    rig.pass_time(45, second)
    rig.execute(run_id, second)

    record = rig.record(run_id)
    assert record is not None
    assert record.outcome is Outcome.SUCCEEDED
    assert len(rig.completions(run_id)) == 1
    assert rig.end(run_id) is not None
    assert _is_marked_successful(rig, run_id)
