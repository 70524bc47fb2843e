"""A cancelled run ends as cancelled, once; one that has not started never does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventflow.execution.exit_hooks import EXIT_HOOK
from eventflow.model.completion import Outcome
from eventflow.model.graph import ExitHooks
from eventflow.model.run import Cancellation, RunRequest
from eventflow.model.task import TaskKey
from eventflow.store.runs import read_run
from tests.support.hand_clock import HandClock
from tests.support.runner_rig import RunnerProcess, RunnerRig, any_rig, rig

__all__ = ["any_rig", "rig"]

two_partitions = pytest.mark.parametrize("rig", [2], indirect=True)
REASON = "cancelled by ann"
DEATHS = (
    *("runner.deciding", "runner.end-decided", "runner.appended"),
    *("runner.committing", "runner.committed"),
)


def _cancel(rig: RunnerRig, run_id: str, request: RunRequest | None = None) -> None:
    asked = Cancellation(run_id, REASON, rig.clock.now(), request)
    rig.bus.publish([rig.codec.new_record(asked)])


def _begin(rig: RunnerRig, runner: RunnerProcess, *, partition: int = 0) -> str:
    """A run whose first task has finished and whose second one runs."""
    run_id = rig.request(partition=partition)
    rig.until(lambda: runner.tasks.running_steps(run_id), runner)
    runner.tasks.succeed(run_id, "start")
    rig.until(lambda: runner.tasks.running_steps(run_id) == ["train"], runner)
    return run_id


def _check_cancelled(rig: RunnerRig, run_id: str, *finished: TaskKey) -> None:
    end, record, (completion,) = rig.end(run_id), rig.record(run_id), rig.completions(run_id)
    assert end is not None
    assert record is not None
    assert (end.outcome, end.reason) == (Outcome.CANCELLED, REASON)
    assert end.manifest == {f"{key.step}/0": key for key in finished}
    assert (record.outcome, record.reason) == (Outcome.CANCELLED, REASON)
    assert (completion.outcome, completion.reason) == (Outcome.CANCELLED, REASON)


class TestExecuting:
    def test_a_run_in_a_slot_is_stopped_and_what_it_finished_counts(
        self, any_rig: RunnerRig
    ) -> None:
        rig, runner = any_rig, any_rig.process()
        run_id = _begin(rig, runner)

        _cancel(rig, run_id)
        rig.until(lambda: rig.completions(run_id), runner)

        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert runner.tasks.killed == [(run_id, 1)]
        assert runner.tasks.running_steps(run_id) == []
        assert runner.runner.is_drained
        assert runner.count("runs_ended_total", outcome="cancelled") == 1

    def test_a_second_cancel_and_one_after_the_end_change_nothing(self, any_rig: RunnerRig) -> None:
        rig, runner = any_rig, any_rig.process()
        run_id, other = _begin(rig, runner), _begin(rig, runner)
        rig.execute(other, runner)

        for each in (run_id, run_id, other, other):
            _cancel(rig, each)
        rig.until(lambda: rig.completions(run_id), runner)
        _cancel(rig, run_id)
        rig.execute(rig.request(), runner)

        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert [each.outcome for each in rig.completions(other)] == [Outcome.SUCCEEDED]
        assert rig.end(other) != rig.end(run_id)

    def test_a_cancel_waits_for_the_store(self, rig: RunnerRig) -> None:
        runner = rig.process()
        run_id = _begin(rig, runner)

        runner.store.is_cut = True
        _cancel(rig, run_id)
        rig.pass_time(3, runner)
        while_away = (rig.completions(run_id), runner.tasks.running_steps(run_id))
        runner.store.is_cut = False
        rig.pass_time(2, runner)

        assert while_away == ([], [])
        _check_cancelled(rig, run_id, TaskKey(1, "start"))

    @pytest.mark.parametrize("point", DEATHS)
    def test_a_cancel_outlives_the_runner_that_reads_it(self, rig: RunnerRig, point: str) -> None:
        first = rig.process()
        run_id = _begin(rig, first)
        _cancel(rig, run_id)
        rig.crash(first, point)

        second = rig.process()
        rig.pass_time(45, second)

        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert second.tasks.steps_of(run_id) == []


class TestWaiting:
    def test_a_run_that_waits_for_a_slot_never_starts(self, any_rig: RunnerRig) -> None:
        rig, runner = any_rig, any_rig.process(slots=1)
        running = _begin(rig, runner)
        waiting, next_one = rig.new_request(), rig.new_request()
        rig.publish(waiting, next_one)

        _cancel(rig, waiting.run_id, waiting)
        _cancel(rig, waiting.run_id, waiting)
        rig.until(lambda: rig.completions(waiting.run_id), runner)
        while_waiting = runner.tasks.running_steps(running)
        rig.execute(running, runner)
        rig.execute(next_one.run_id, runner)

        assert while_waiting == ["train"]
        _check_cancelled(rig, waiting.run_id)
        assert runner.tasks.steps_of(waiting.run_id) == []
        assert read_run(rig.store, rig.place(waiting.run_id)).request == waiting

    @pytest.mark.parametrize("point", DEATHS[2:])
    def test_it_never_starts_although_the_runner_dies_that_reads_it(
        self, rig: RunnerRig, point: str
    ) -> None:
        first = rig.process(slots=1)
        _begin(rig, first)
        waiting = rig.new_request()
        rig.publish(waiting)
        _cancel(rig, waiting.run_id, waiting)
        rig.crash(first, point)

        second = rig.process()
        rig.pass_time(45, second)

        _check_cancelled(rig, waiting.run_id)
        assert second.tasks.steps_of(waiting.run_id) == []

    def test_a_run_that_was_cancelled_before_any_runner_came_never_starts(
        self, any_rig: RunnerRig
    ) -> None:
        rig, request, other = any_rig, any_rig.new_request(), any_rig.new_request()
        rig.publish(request, other)
        _cancel(rig, request.run_id, request)

        runner = rig.process()
        rig.execute(other.run_id, runner)

        _check_cancelled(rig, request.run_id)
        assert runner.tasks.steps_of(request.run_id) == []

    def test_a_run_whose_record_was_forgotten_is_not_ended_again(self, rig: RunnerRig) -> None:
        assert isinstance(rig.clock, HandClock)
        runner, request = rig.process(), rig.new_request()
        rig.publish(request)
        rig.execute(request.run_id, runner)
        end = rig.end(request.run_id)
        rig.clock.wall += timedelta(days=32)
        rig.jump(3601)
        rig.until(lambda: rig.record(request.run_id) is None, runner)

        _cancel(rig, request.run_id, request)
        rig.execute(rig.request(), runner)

        assert rig.completions(request.run_id) == []  # retention has deleted the first one
        assert rig.end(request.run_id) == end

    def test_a_cancel_of_nothing_is_read_and_changes_nothing(self, rig: RunnerRig) -> None:
        runner = rig.process()
        unknown, other = rig.new_request("Forgotten"), rig.new_request()
        _cancel(rig, "r-nothing")
        _cancel(rig, unknown.run_id, unknown)
        _cancel(rig, "r-another", other)

        run_id = rig.request()
        rig.execute(run_id, runner)

        assert [each.run_id for each in rig.completions()] == [run_id]
        assert rig.record(other.run_id) is None
        assert rig.end(other.run_id) is None


class TestElsewhere:
    @two_partitions
    def test_a_run_that_another_runner_executes_ends_at_once_and_is_stopped_there(
        self, rig: RunnerRig
    ) -> None:
        first, second, run_id = _executed_elsewhere(rig)

        _cancel(rig, run_id)
        rig.until(lambda: rig.completions(run_id), second)
        before = first.tasks.running_steps(run_id)
        rig.pass_time(6, first, second)

        assert before == ["train"]
        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert first.tasks.killed == [(run_id, 1)]
        assert first.runner.is_drained
        assert second.tasks.steps_of(run_id) == []

    @two_partitions
    def test_a_run_whose_partition_has_come_back_meanwhile_is_stopped_too(
        self, rig: RunnerRig
    ) -> None:
        first, second, run_id = _executed_elsewhere(rig)

        _cancel(rig, run_id)
        rig.until(lambda: rig.completions(run_id), second)
        second.runner.close()
        rig.until(lambda: first.partitions == rig.partitions, first)
        before = first.tasks.running_steps(run_id)
        rig.pass_time(6, first)

        assert before == ["train"]
        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert first.tasks.killed == [(run_id, 1)]
        assert first.runner.is_drained

    @two_partitions
    def test_a_run_that_has_just_ended_elsewhere_keeps_its_end(self, rig: RunnerRig) -> None:
        first, second, run_id = _executed_elsewhere(rig)
        first.tasks.succeed(run_id, "train")
        rig.until(lambda: first.tasks.running_steps(run_id) == ["end"], first)
        first.tasks.succeed(run_id, "end")
        rig.crash(first, "runner.marked-successful")

        _cancel(rig, run_id)
        rig.until(lambda: rig.completions(run_id), second)

        assert [each.outcome for each in rig.completions(run_id)] == [Outcome.SUCCEEDED]

    def test_a_run_whose_runner_is_gone_ends_before_its_lease_does(self, rig: RunnerRig) -> None:
        first, second = rig.process(), rig.process()
        run_id = _begin(rig, first)
        rig.lose(first)
        rig.outlast_session(second)

        _cancel(rig, run_id)
        rig.until(lambda: rig.completions(run_id), second)

        _check_cancelled(rig, run_id, TaskKey(1, "start"))
        assert second.tasks.steps_of(run_id) == []


class TestExitHooks:
    def test_they_are_called_before_the_end_of_a_cancelled_run_is_told(
        self, rig: RunnerRig
    ) -> None:
        runner = rig.process()
        run_id = _begin_hooked(rig, runner)

        _cancel(rig, run_id)
        rig.until(lambda: runner.tasks.running_steps(run_id) == [EXIT_HOOK], runner)
        _cancel(rig, run_id)
        rig.steps(runner)
        told = rig.completions(run_id)
        rig.execute(run_id, runner)

        assert told == []
        assert [each.outcome for each in rig.completions(run_id)] == [Outcome.CANCELLED]
        assert runner.runner.is_drained

    @two_partitions
    def test_they_are_called_where_another_runner_executes_the_run(self, rig: RunnerRig) -> None:
        first = rig.process()
        run_id = _begin_hooked(rig, first, partition=1)
        second = rig.process()
        rig.own(first, second)

        _cancel(rig, run_id)
        rig.pass_time(6, first, second)
        told, at_work = rig.completions(run_id), first.tasks.running_steps(run_id)
        rig.execute(run_id, first, second)

        assert (told, at_work) == ([], [EXIT_HOOK])
        assert [each.outcome for each in rig.completions(run_id)] == [Outcome.CANCELLED]
        assert second.tasks.steps_of(run_id) == []


def _begin_hooked(rig: RunnerRig, runner: RunnerProcess, *, partition: int = 0) -> str:
    """A run at work, of a flow that has a hook for ends that are no success."""
    rig.deploy("Hooked", exit_hooks=ExitHooks(("tell",), ("mourn",)))
    request = rig.new_request("Hooked", partition=partition)
    rig.publish(request)
    rig.until(lambda: runner.tasks.running_steps(request.run_id), runner)
    return request.run_id


def _executed_elsewhere(rig: RunnerRig) -> tuple[RunnerProcess, RunnerProcess, str]:
    """A run that the first runner executes, of a partition that the second one has."""
    first = rig.process()
    run_id = _begin(rig, first, partition=1)
    second = rig.process()
    rig.own(first, second)
    return first, second, run_id
