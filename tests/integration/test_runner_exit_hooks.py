"""Exit hooks of requested runs: after the end stands, before it is told, whoever dies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eventflow.execution.exit_hooks import EXIT_HOOK
from eventflow.model.completion import Outcome
from eventflow.model.graph import ExitHooks
from eventflow.model.run import Cancellation
from eventflow.store.runs import read_end
from tests.support.runner_rig import RunnerProcess, RunnerRig, rig

__all__ = ["rig"]

FLOW = "Hooked"
STEPS = ("start", "train", "end")


def _run_to_its_hooks(rig: RunnerRig, runner: RunnerProcess) -> str:
    """A run whose steps have succeeded and whose first hook is at work."""
    rig.deploy(FLOW, exit_hooks=ExitHooks(("tell", "tidy"), ("mourn",)))
    request = rig.new_request(FLOW)
    rig.publish(request)
    for step in STEPS:
        rig.until(lambda: runner.tasks.running_steps(request.run_id), runner)
        runner.tasks.succeed(request.run_id, step)
    rig.until(lambda: runner.tasks.running_steps(request.run_id) == [EXIT_HOOK], runner)
    return request.run_id


def _hooks(runner: RunnerProcess) -> list[tuple[int, str]]:
    """(epoch, number) of the hooks that were called."""
    started = [task.key for task in runner.tasks.started if task.key.step == EXIT_HOOK]
    return [(key.epoch, key.task) for key in started]


def test_they_are_called_one_after_the_other_before_the_end_is_told(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = _run_to_its_hooks(rig, runner)
    rig.steps(runner)
    end, told = read_end(rig.store, rig.place(run_id, FLOW)), rig.completions(run_id)

    rig.execute(run_id, runner)

    assert end is not None
    assert told == []
    assert _hooks(runner) == [(1, "0"), (1, "1")]
    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.SUCCEEDED
    assert runner.runner.is_drained


def test_one_that_fails_changes_nothing_and_the_next_is_called(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = _run_to_its_hooks(rig, runner)

    runner.tasks.fail(run_id, EXIT_HOOK)
    rig.execute(run_id, runner)

    assert _hooks(runner) == [(1, "0"), (1, "1")]
    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.SUCCEEDED


def test_after_a_failure_those_for_failures_are_called(rig: RunnerRig) -> None:
    runner = rig.process()
    rig.deploy(FLOW, exit_hooks=ExitHooks(("tell",), ("mourn",)))
    request = rig.new_request(FLOW)
    rig.publish(request)
    rig.until(lambda: runner.tasks.running_steps(request.run_id), runner)

    runner.tasks.fail(request.run_id, "start")
    rig.execute(request.run_id, runner)

    (completion,) = rig.completions(request.run_id)
    assert completion.outcome is Outcome.FAILED
    assert _hooks(runner) == [(1, "0")]


def test_what_a_dead_runner_did_not_call_is_called_by_the_next_and_nothing_else(
    rig: RunnerRig,
) -> None:
    first = rig.process()
    run_id = _run_to_its_hooks(rig, first)
    first.tasks.succeed(run_id, EXIT_HOOK)
    rig.until(lambda: len(_hooks(first)) == 2, first)
    rig.lose(first)
    second = rig.process()

    rig.pass_time(40, second)
    rig.execute(run_id, second)

    assert _hooks(second) == [(2, "1")]
    assert second.tasks.steps_of(run_id) == [(2, EXIT_HOOK)]
    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.SUCCEEDED


def test_a_runner_that_died_right_after_the_end_leaves_its_hooks_to_the_next(
    rig: RunnerRig,
) -> None:
    first = rig.process()
    rig.deploy(FLOW, exit_hooks=ExitHooks(("tell",)))
    request = rig.new_request(FLOW)
    rig.publish(request)
    for step in STEPS:
        rig.until(lambda: first.tasks.running_steps(request.run_id), first)
        first.tasks.succeed(request.run_id, step)
    rig.crash(first, "runner.end-decided")
    second = rig.process()

    rig.pass_time(40, second)
    told = rig.completions(request.run_id)
    rig.execute(request.run_id, second)

    assert told == []
    assert _hooks(second) == [(2, "0")]
    assert len(rig.completions(request.run_id)) == 1


def test_a_run_whose_hooks_have_returned_is_only_published(rig: RunnerRig) -> None:
    first = rig.process()
    run_id = _run_to_its_hooks(rig, first)
    first.tasks.succeed(run_id, EXIT_HOOK)
    rig.until(lambda: len(_hooks(first)) == 2, first)
    first.tasks.succeed(run_id, EXIT_HOOK)
    rig.lose(first)
    second = rig.process()

    rig.pass_time(40, second)

    assert second.tasks.started == []
    assert len(rig.completions(run_id)) == 1
    assert second.count("completions_recovered_total") == 1


def test_a_run_whose_code_is_missing_is_told_without_its_hooks(rig: RunnerRig) -> None:
    runner = rig.process()
    missing = replace(rig.code, digest="0" * 64)
    rig.deploy(FLOW, code=missing, exit_hooks=ExitHooks((), ("mourn",)))
    request = rig.new_request(FLOW)

    rig.publish(request)
    rig.until(lambda: rig.completions(request.run_id), runner)

    (completion,) = rig.completions(request.run_id)
    assert completion.outcome is Outcome.FAILED
    assert _hooks(runner) == []


def _cancel(rig: RunnerRig, run_id: str) -> None:
    asked = Cancellation(run_id, "cancelled by ann", rig.clock.now(), None)
    rig.bus.publish([rig.codec.new_record(asked)])


def _begin(rig: RunnerRig, runner: RunnerProcess, partition: int) -> str:
    rig.deploy(FLOW, exit_hooks=ExitHooks((), ("mourn",)))
    request = rig.new_request(FLOW, partition=partition)
    rig.publish(request)
    rig.until(lambda: runner.tasks.running_steps(request.run_id), runner)
    return request.run_id


def test_those_of_a_run_that_is_cancelled_come_before_its_end_is_told(rig: RunnerRig) -> None:
    runner = rig.process()
    run_id = _begin(rig, runner, 0)

    _cancel(rig, run_id)
    rig.until(lambda: _hooks(runner), runner)
    _cancel(rig, run_id)
    rig.steps(runner)
    told = rig.completions(run_id)
    rig.execute(run_id, runner)

    assert told == []
    assert _hooks(runner) == [(1, "0")]
    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("rig", [2], indirect=True)
def test_those_of_a_run_that_another_runner_executes_are_called_there(rig: RunnerRig) -> None:
    executing = rig.process()
    run_id = _begin(rig, executing, 1)
    custodian = rig.process()
    rig.own(executing, custodian)

    _cancel(rig, run_id)
    rig.until(lambda: read_end(rig.store, rig.place(run_id, FLOW)), custodian)
    rig.steps(custodian)
    told = rig.completions(run_id)
    rig.pass_time(6, executing, custodian)
    rig.execute(run_id, executing, custodian)

    assert told == []
    assert (_hooks(executing), _hooks(custodian)) == ([(1, "0")], [])
    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.CANCELLED
