"""Runners that hang and come back: what they do then is refused, or counts for nothing."""

from __future__ import annotations

import pytest

from eventflow.model.completion import Outcome
from tests.support.runner_rig import RunnerProcess, RunnerRig, rig

__all__ = ["rig"]

two_partitions = pytest.mark.parametrize("rig", [2], indirect=True)


def _bring_to_its_last_task(rig: RunnerRig, run_id: str, *processes: RunnerProcess) -> None:
    tasks = processes[0].tasks
    for step in ("start", "train"):
        rig.until(lambda: tasks.running_steps(run_id), *processes)
        tasks.succeed(run_id, step)
        rig.until(lambda: tasks.running_steps(run_id), *processes)


class TestLapse:
    def test_a_lapsed_runner_stops_its_tasks_and_goes_on_under_a_new_id(
        self, rig: RunnerRig
    ) -> None:
        runner, run_id = rig.process(), rig.request()
        _bring_to_its_last_task(rig, run_id, runner)
        (former,) = {each.runner_id for each in rig.heartbeats()}

        rig.jump(26)
        rig.steps(runner)

        gone = [each.runner_id for each in rig.heartbeats() if each.is_gone]
        assert gone == [former]
        assert rig.heartbeats()[-1].runner_id != former
        assert runner.tasks.killed == [(run_id, 1)]
        assert runner.tasks.steps_of(run_id)[-1] == (2, "end")
        assert runner.count("runner_lapses_total") == 1

    def test_a_runner_that_is_late_within_its_lease_goes_on(self, rig: RunnerRig) -> None:
        runner, run_id = rig.process(), rig.request()
        _bring_to_its_last_task(rig, run_id, runner)

        rig.jump(19)
        rig.steps(runner)

        assert runner.tasks.killed == []
        assert rig.epoch(run_id) == 1

    def test_what_ended_during_the_lapse_decides_nothing(self, rig: RunnerRig) -> None:
        runner, run_id = rig.process(), rig.request()
        _bring_to_its_last_task(rig, run_id, runner)
        runner.tasks.fail(run_id, "end", "killed, the machine slept")

        rig.jump(26)
        rig.execute(run_id, runner)

        end = rig.end(run_id)
        assert end is not None
        assert (end.outcome, end.epoch) == (Outcome.SUCCEEDED, 2)
        assert len(rig.completions(run_id)) == 1

    @two_partitions
    def test_the_runs_of_a_lapsed_runner_in_partitions_of_others_go_on_once(
        self, rig: RunnerRig
    ) -> None:
        first, run_id = rig.process(), rig.request(partition=1)
        _bring_to_its_last_task(rig, run_id, first)
        second = rig.process()
        rig.own(first, second)
        rig.pass_time(26, second)

        rig.steps(first, second)

        again = first.tasks.steps_of(run_id)[3:] + second.tasks.steps_of(run_id)
        assert first.tasks.killed == [(run_id, 1)]
        assert again == [(2, "end")]


class TestLateEnd:
    @two_partitions
    def test_a_late_end_of_an_earlier_epoch_stops_the_tasks_of_the_current_one(
        self, rig: RunnerRig
    ) -> None:
        first, run_id = rig.process(), rig.request(partition=1)
        _bring_to_its_last_task(rig, run_id, first)
        second = rig.process()
        rig.own(first, second)
        first.tasks.succeed(run_id, "end")
        rig.store.delete([rig.place(run_id).artifacts(first.tasks.started[-1].key)])

        def meanwhile() -> None:
            rig.pass_time(45, second)
            assert second.tasks.running_steps(run_id) == ["end"]

        first.moments.at("runner.deciding", meanwhile)
        rig.until(lambda: rig.end(run_id), first)
        rig.until(lambda: rig.completions(run_id), second)

        end, (completion,) = rig.end(run_id), rig.completions(run_id)
        assert end is not None
        assert (end.epoch, completion.epoch) == (1, 1)
        assert second.tasks.killed == [(run_id, 2)]
        rig.steps(first, second)
        assert second.runner.is_drained

    def test_a_zombie_that_decides_after_the_end_of_another_decides_nothing(
        self, rig: RunnerRig
    ) -> None:
        first, run_id = rig.process(), rig.request()
        _bring_to_its_last_task(rig, run_id, first)
        second = rig.process()
        first.tasks.fail(run_id, "end", "too late")

        def meanwhile() -> None:
            rig.pass_time(45, second)
            rig.execute(run_id, second)

        first.moments.at("runner.deciding", meanwhile)
        rig.until(lambda: first.count("runner_lapses_total"), first)
        rig.pass_time(10, first, second)

        end, (completion,) = rig.end(run_id), rig.completions(run_id)
        assert end is not None
        assert (end.outcome, end.epoch) == (Outcome.SUCCEEDED, 2)
        assert completion.outcome is Outcome.SUCCEEDED


class TestFences:
    def test_a_zombie_accepts_nothing(self, rig: RunnerRig) -> None:
        first, second, run_id = rig.process(), rig.process(), rig.request()

        def meanwhile() -> None:
            rig.pass_time(7, second)
            assert second.tasks.steps_of(run_id) == [(1, "start")]

        first.moments.at("runner.appended", meanwhile)
        rig.until(lambda: first.moments.is_past, first)
        rig.pass_time(3, first, second)

        assert first.tasks.started == []
        assert first.count("runner_refused_commits_total") == 1
        assert rig.epoch(run_id) == 1

    @two_partitions
    def test_the_end_that_a_zombie_could_not_publish_is_published_once(
        self, rig: RunnerRig
    ) -> None:
        first, run_id = rig.process(), rig.request(partition=1)
        _bring_to_its_last_task(rig, run_id, first)
        second = rig.process()
        first.tasks.succeed(run_id, "end")

        def meanwhile() -> None:
            rig.pass_time(7, second)
            assert second.partitions == 2

        first.moments.at("runner.appended", meanwhile)
        rig.until(lambda: first.moments.is_past, first)
        refused = first.count("runner_refused_commits_total")
        during = rig.completions(run_id)
        rig.pass_time(3, first, second)

        (completion,) = rig.completions(run_id)
        assert (refused, during) == (1, [])
        assert completion.epoch == 1
        assert second.tasks.started == []
