"""What fails in one run, one record or one partition of a runner holds up nothing else."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest

from eventflow.codec.keys import POSITION
from eventflow.errors import BusUnreachable
from eventflow.model.completion import Outcome
from eventflow.model.log import NewRecord
from eventflow.services.custody import Custody
from eventflow.store.runs import read_run
from tests.support.runner_rig import RunnerRig, rig

__all__ = ["rig"]


def test_an_undecodable_state_of_a_run_is_one_dead_letter_in_all_restores(rig: RunnerRig) -> None:
    rig.bus.publish([NewRecord(rig.topics.runs, b"rnobody", b"garbage", partition=0)])
    for _ in range(2):
        runner = rig.process()
        rig.execute(rig.request(), runner)
        runner.runner.close()

    (letter,) = rig.dead_letters()

    assert (letter.key, letter.value) == (b"rnobody", b"garbage")


def test_an_undecodable_state_that_was_overwritten_since_counts_for_nothing(
    rig: RunnerRig,
) -> None:
    rig.bus.publish([NewRecord(rig.topics.runs, POSITION, b"garbage", partition=0)])
    first = rig.process()
    rig.execute(rig.request(), first)
    first.runner.close()
    letters = len(rig.dead_letters())

    second = rig.process()
    run_id = rig.request()
    rig.execute(run_id, second)

    assert len(rig.dead_letters()) == letters == 1
    assert second.tasks.steps_of(run_id) == [(1, "start"), (1, "train"), (1, "end")]


def test_an_undecodable_heartbeat_says_nothing(rig: RunnerRig) -> None:
    rig.bus.publish([NewRecord(rig.topics.runners, b"nobody", b"garbage")])
    runner, run_id = rig.process(), rig.request()

    rig.execute(run_id, runner)

    assert len(rig.completions(run_id)) == 1


def test_an_end_that_cannot_be_read_is_a_failure_and_its_runner_goes_on(rig: RunnerRig) -> None:
    runner, run_id = rig.process(), rig.request()
    rig.store.put(rig.place(run_id).end, b"garbage")

    rig.execute(run_id, runner)
    other = rig.request()
    rig.execute(other, runner)

    (completion,) = rig.completions(run_id)
    assert completion.outcome is Outcome.FAILED
    assert "end.json" in completion.reason
    assert rig.completions(other)[0].outcome is Outcome.SUCCEEDED


def test_a_run_that_cannot_begin_can_be_found_all_the_same(rig: RunnerRig) -> None:
    runner = rig.process()
    rig.deploy(code=replace(rig.code, digest="0" * 64))

    run_id = rig.request()
    rig.until(lambda: rig.completions(run_id), runner)

    end = rig.end(run_id)
    assert end is not None
    assert end.outcome is Outcome.FAILED
    assert read_run(rig.store, rig.place(run_id)).request.run_id == run_id


def test_a_reason_of_any_length_fits_its_records(rig: RunnerRig) -> None:
    runner, run_id = rig.process(), rig.request()
    rig.until(lambda: runner.tasks.running_steps(run_id), runner)

    runner.tasks.fail(run_id, "start", "ValueError: " + "x" * 2_000_000)
    rig.until(lambda: rig.completions(run_id), runner)

    end, (completion,) = rig.end(run_id), rig.completions(run_id)
    assert end is not None
    assert len(end.reason) > 2_000_000
    assert "ValueError: xxx" in completion.reason
    assert len(completion.reason) < 3_000


def test_no_more_runs_are_accepted_than_slots_while_their_commit_waits(
    rig: RunnerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = rig.process(slots=2)
    rig.own(runner)
    run_ids = [rig.request() for _ in range(5)]

    def away() -> None:
        raise BusUnreachable("the bus is away")

    with monkeypatch.context() as patch:
        patch.setattr(runner.runner, "_commit", away)
        for _ in range(3):
            with pytest.raises(BusUnreachable):
                runner.step()
    rig.steps(runner)

    accepted = [each for each in run_ids if rig.record(each)]
    assert len(accepted) == 2


@pytest.mark.parametrize("rig", [2], indirect=True)
def test_a_lost_answer_to_one_commit_repeats_no_completion_of_another(
    rig: RunnerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = rig.process()
    rig.own(runner)
    first, second = rig.request(partition=0), rig.request(partition=1)

    def run_both(step: str) -> None:
        both = (first, second)
        rig.until(lambda: all(runner.tasks.running_steps(each) == [step] for each in both), runner)
        for run_id in both:
            runner.tasks.succeed(run_id, step)

    for step in ("start", "train", "end"):
        run_both(step)

    lost = _lose_the_first_answer_of_a_completion(monkeypatch)
    with pytest.raises(BusUnreachable):
        rig.until(lambda: False, runner)
    rig.pass_time(3, runner)
    rig.until(lambda: rig.completions(first) and rig.completions(second), runner)
    rig.pass_time(3, runner)

    assert lost
    assert [len(rig.completions(each)) for each in (first, second)] == [1, 1]


def _lose_the_first_answer_of_a_completion(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commit happens; who asks hears that the bus is away."""
    commit = Custody.commit
    lost: list[str] = []

    def commit_and_lose(custody: Custody) -> Future[None]:
        has_completion = any("events" in each.topic for each in custody._records)
        done = commit(custody)
        if lost or not has_completion:
            return done
        lost.append("answer")
        answer: Future[None] = Future()
        answer.set_exception(BusUnreachable("the answer was lost"))
        return answer

    monkeypatch.setattr(Custody, "commit", commit_and_lose)
    return lost


def test_a_runner_that_leaves_while_the_bus_is_away_stops_its_tasks(
    rig: RunnerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, run_id = rig.process(), rig.request()
    rig.until(lambda: runner.tasks.running_steps(run_id), runner)

    def away() -> None:
        raise BusUnreachable("the bus is away")

    monkeypatch.setattr(runner.runner, "_commit", away)
    with pytest.raises(BusUnreachable):
        runner.runner.close()

    assert runner.tasks.killed == [(run_id, 1)]
    assert runner.tasks.running_steps(run_id) == []
