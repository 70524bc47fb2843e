"""Runs of runners that died, left or went silent go on elsewhere, and not for ever."""

from __future__ import annotations

import pytest

from eventflow.model.completion import Outcome
from eventflow.model.task import TaskKey
from tests.support.runner_rig import RunnerProcess, RunnerRig, rig

__all__ = ["rig"]

two_partitions = pytest.mark.parametrize("rig", [2], indirect=True)


def _begin(rig: RunnerRig, runner: RunnerProcess, *finished: str, partition: int = 0) -> str:
    """A run at work: these steps are finished, the next one runs."""
    run_id = rig.request(partition=partition)
    for step in finished:
        rig.until(lambda: runner.tasks.running_steps(run_id), runner)
        runner.tasks.succeed(run_id, step)
    rig.until(lambda: len(runner.tasks.steps_of(run_id)) == len(finished) + 1, runner)
    return run_id


def _begin_elsewhere(
    rig: RunnerRig, runner: RunnerProcess, *finished: str, slots: int = 2, host: str | None = None
) -> tuple[str, RunnerProcess]:
    """A run at work on a runner; another one, its custodian since."""
    run_id = _begin(rig, runner, *finished, partition=1)
    custodian = rig.process(slots=slots, host=host)
    rig.own(runner, custodian)
    return run_id, custodian


class TestDeath:
    def test_a_run_of_a_silent_runner_goes_on_after_the_lease_with_what_is_finished(
        self, rig: RunnerRig
    ) -> None:
        first = rig.process()
        run_id = _begin(rig, first, "start")
        rig.lose(first)
        second = rig.process()

        rig.pass_time(29, second)
        before = rig.epoch(run_id)
        rig.pass_time(11, second)
        after = rig.epoch(run_id)
        rig.execute(run_id, second)

        assert (before, after) == (1, 2)
        assert second.tasks.steps_of(run_id) == [(2, "train"), (2, "end")]
        assert second.tasks.started[0].inputs == (TaskKey(1, "start"),)
        end, (completion,) = rig.end(run_id), rig.completions(run_id)
        assert end is not None
        assert end.manifest == {
            "start/0": TaskKey(1, "start"),
            "train/0": TaskKey(2, "train"),
            "end/0": TaskKey(2, "end"),
        }
        assert completion.epoch == 2
        assert second.count("run_take_overs_total", reason="silent") == 1

    @two_partitions
    def test_a_run_of_a_dead_process_of_this_host_goes_on_at_once(self, rig: RunnerRig) -> None:
        first = rig.process(host="here")
        run_id, second = _begin_elsewhere(rig, first, host="here")
        rig.steps(second)
        assert rig.epoch(run_id) == 1

        rig.lose(first)
        rig.until(lambda: second.tasks.started, second)

        assert second.tasks.steps_of(run_id) == [(2, "start")]
        assert second.count("run_take_overs_total", reason="died") == 1

    @two_partitions
    def test_the_pid_of_another_host_says_nothing(self, rig: RunnerRig) -> None:
        first = rig.process(host="here")
        run_id, second = _begin_elsewhere(rig, first, host="there")

        rig.lose(first)
        rig.pass_time(20, second)

        assert rig.epoch(run_id) == 1

    def test_a_run_that_ended_is_published_and_nothing_of_it_runs_again(
        self, rig: RunnerRig
    ) -> None:
        first = rig.process()
        run_id = _begin(rig, first, "start", "train")
        first.tasks.succeed(run_id, "end")
        rig.crash(first, "runner.end-decided")
        second = rig.process()

        rig.pass_time(40, second)

        (completion,) = rig.completions(run_id)
        assert (completion.outcome, completion.epoch) == (Outcome.SUCCEEDED, 1)
        assert second.tasks.started == []
        assert second.count("completions_recovered_total") == 1

    def test_a_take_over_needs_a_free_slot_and_goes_before_new_requests(
        self, rig: RunnerRig
    ) -> None:
        first = rig.process()
        orphan = _begin(rig, first)
        rig.lose(first)
        second = rig.process(slots=1)
        rig.pass_time(7, second)
        mine, waiting = rig.request(), rig.request()
        rig.until(lambda: second.tasks.running_steps(mine), second)
        rig.pass_time(60, second)
        assert rig.epoch(orphan) == 1

        rig.execute(mine, second)
        rig.execute(orphan, second)

        assert rig.epoch(orphan) == 2
        order = [task.run.request.run_id for task in second.tasks.started]
        assert waiting not in order[: order.index(orphan)]

    def test_a_run_that_was_accepted_and_never_begun_is_taken_over(self, rig: RunnerRig) -> None:
        first = rig.process()
        rig.own(first)
        run_id = rig.request()
        rig.crash(first, "runner.committed")
        assert rig.epoch(run_id) == 1

        second = rig.process()
        rig.pass_time(40, second)

        assert second.tasks.steps_of(run_id) == [(2, "start")]


class TestDeparture:
    def test_a_run_that_its_custodian_released_goes_on_at_once(self, rig: RunnerRig) -> None:
        first = rig.process()
        run_id = _begin(rig, first, "start")
        second = rig.process()
        rig.steps(second)

        first.runner.close()
        rig.until(lambda: second.tasks.started, second)

        assert first.tasks.killed == [(run_id, 1)]
        assert second.tasks.steps_of(run_id) == [(2, "train")]
        assert second.count("run_take_overs_total", reason="released") == 1

    @two_partitions
    def test_a_run_that_another_runner_released_goes_on_at_once(self, rig: RunnerRig) -> None:
        first = rig.process()
        run_id, second = _begin_elsewhere(rig, first, "start")

        first.runner.close()
        rig.until(lambda: second.tasks.started, second)

        assert [(each.run_id, each.is_released) for each in rig.reports()] == [(run_id, True)]
        assert second.tasks.steps_of(run_id) == [(2, "train")]

    @two_partitions
    def test_a_runner_that_lost_the_partition_ends_its_run_and_the_custodian_publishes(
        self, rig: RunnerRig
    ) -> None:
        first = rig.process()
        run_id, second = _begin_elsewhere(rig, first, "start")
        rig.pass_time(60, first, second)

        rig.execute(run_id, first, second)

        (completion,) = rig.completions(run_id)
        (report,) = rig.reports()
        assert (report.run_id, report.epoch, report.is_released) == (run_id, 1, False)
        assert (completion.outcome, completion.epoch) == (Outcome.SUCCEEDED, 1)
        assert second.tasks.started == []
        assert first.runner.is_drained
        assert second.count("runs_ended_total", outcome="succeeded") == 1

    @two_partitions
    def test_a_full_custodian_publishes_what_ended_elsewhere(self, rig: RunnerRig) -> None:
        first = rig.process()
        run_id, second = _begin_elsewhere(rig, first, slots=1)
        own = _begin(rig, second, partition=1)

        _execute_on(rig, run_id, first, second)

        assert len(rig.completions(run_id)) == 1
        assert second.tasks.running_steps(own) == ["start"]

    @two_partitions
    def test_a_runner_that_dies_before_its_report_has_its_end_published(
        self, rig: RunnerRig
    ) -> None:
        first = rig.process()
        run_id, second = _begin_elsewhere(rig, first, "start", "train")
        first.tasks.succeed(run_id, "end")
        rig.crash(first, "runner.end-decided")
        assert rig.reports() == []

        rig.pass_time(40, second)

        (completion,) = rig.completions(run_id)
        assert completion.epoch == 1
        assert second.tasks.steps_of(run_id) == []

    @two_partitions
    def test_a_report_whose_sender_died_counts(self, rig: RunnerRig) -> None:
        first = rig.process()
        run_id, second = _begin_elsewhere(rig, first, "start", "train")
        first.tasks.succeed(run_id, "end")
        rig.crash(first, "runner.reported")

        rig.until(lambda: rig.completions(run_id), second)

        assert second.tasks.steps_of(run_id) == []


def _execute_on(
    rig: RunnerRig, run_id: str, executing: RunnerProcess, other: RunnerProcess
) -> None:
    """Let the tasks of a run succeed on one of two runners, and nothing else."""
    for step in ("start", "train", "end"):
        rig.until(lambda: executing.tasks.running_steps(run_id), executing, other)
        executing.tasks.succeed(run_id, step)
    rig.until(lambda: rig.completions(run_id), executing, other)


class TestKillers:
    def test_a_run_that_kills_its_runner_fails_after_five_silent_take_overs(
        self, rig: RunnerRig
    ) -> None:
        run_id = rig.request()
        for epoch in range(1, 7):
            victim = rig.process(host="here")
            rig.pass_time(7, victim)
            assert victim.tasks.steps_of(run_id) == [(epoch, "start")]
            rig.lose(victim)

        last = rig.process(host="here")
        rig.pass_time(7, last)

        (completion,) = rig.completions(run_id)
        assert completion.outcome is Outcome.FAILED
        assert "without finishing a task" in completion.reason
        assert last.tasks.started == []

    def test_the_count_starts_again_when_a_task_has_finished(self, rig: RunnerRig) -> None:
        run_id = rig.request()
        steps = []
        for number in range(1, 9):
            victim = rig.process(host="here")
            rig.pass_time(7, victim)
            steps += victim.tasks.steps_of(run_id)
            if number == 4:
                victim.tasks.succeed(run_id, "start")
            rig.lose(victim)

        last = rig.process(host="here")
        rig.pass_time(7, last)
        rig.execute(run_id, last)

        (completion,) = rig.completions(run_id)
        assert steps[3:5] == [(4, "start"), (5, "train")]
        assert (completion.outcome, completion.epoch) == (Outcome.SUCCEEDED, 9)

    def test_runners_that_leave_in_good_order_are_not_counted(self, rig: RunnerRig) -> None:
        run_id = rig.request()
        for epoch in range(1, 9):
            leaving = rig.process()
            rig.until(lambda: rig.epoch(run_id) == epoch, leaving)  # noqa: B023 - called at once
            rig.steps(leaving)
            assert leaving.tasks.steps_of(run_id) == [(epoch, "start")]
            leaving.runner.close()

        last = rig.process()
        rig.until(lambda: last.tasks.started, last)

        assert last.tasks.steps_of(run_id) == [(9, "start")]
