"""Which runner is taken for dead, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from eventflow.model.presence import RunnersSeen, WhyTakeOver
from eventflow.model.run import Heartbeat, RunRecord, RunRequest, Working

START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def beat(runner_id: str, *working: Working, is_gone: bool = False) -> Heartbeat:
    return Heartbeat(runner_id, "host", "boot", 1, 2, working, is_gone, START)


def run_of(runner_id: str, epoch: int = 1) -> RunRecord:
    request = RunRequest("r1", "p/prod", "F", 1, {}, (), None, (), 0, START)
    return RunRecord("r1", epoch, runner_id, request, START)


def test_a_runner_that_beats_within_the_lease_keeps_its_run() -> None:
    seen = RunnersSeen(LEASE)

    seen.fold(beat("a", Working("r1", 1)), at(1))
    seen.fold(beat("b"), at(30))

    assert seen.why_take_over(run_of("a"), at(0)) is None


def test_a_runner_silent_for_the_lease_loses_its_run() -> None:
    seen = RunnersSeen(LEASE)

    seen.fold(beat("a", Working("r1", 1)), at(1))
    seen.fold(beat("b"), at(31))

    assert seen.why_take_over(run_of("a"), at(0)) is WhyTakeOver.SILENT


def test_the_lease_of_a_runner_never_heard_of_counts_from_its_record() -> None:
    seen = RunnersSeen(LEASE)
    seen.fold(beat("b"), at(29))

    before = seen.why_take_over(run_of("a"), at(0))
    seen.fold(beat("b"), at(30))
    after = seen.why_take_over(run_of("a"), at(0))

    assert (before, after) == (None, WhyTakeOver.SILENT)


def test_a_runner_that_said_gone_loses_its_run_at_once() -> None:
    seen = RunnersSeen(LEASE)
    seen.fold(beat("a", Working("r1", 1)), at(1))

    seen.fold(beat("a", is_gone=True), at(2))

    assert seen.why_take_over(run_of("a"), at(0)) is WhyTakeOver.GONE


def test_a_released_run_needs_another_runner_at_once() -> None:
    assert RunnersSeen(LEASE).why_take_over(run_of(""), at(0)) is WhyTakeOver.RELEASED


def test_two_heartbeats_after_the_record_without_the_run_disown_it() -> None:
    seen = RunnersSeen(LEASE)
    seen.fold(beat("a"), at(1))
    seen.fold(beat("a"), at(6))
    after_one = seen.why_take_over(run_of("a"), at(3))

    seen.fold(beat("a"), at(11))

    assert after_one is None
    assert seen.why_take_over(run_of("a"), at(3)) is WhyTakeOver.NOT_LISTED


def test_a_heartbeat_that_lists_an_older_epoch_disowns_the_newer_one() -> None:
    seen = RunnersSeen(LEASE)
    seen.fold(beat("a", Working("r1", 1)), at(1))
    seen.fold(beat("a", Working("r1", 1)), at(6))

    assert seen.why_take_over(run_of("a", epoch=2), at(0)) is WhyTakeOver.NOT_LISTED


def test_only_silence_counts_towards_the_limit_of_take_overs() -> None:
    counted = {why for why in WhyTakeOver if why.is_silence}

    assert counted == {WhyTakeOver.SILENT, WhyTakeOver.DIED}


def test_runners_not_heard_of_for_long_are_to_be_forgotten() -> None:
    seen = RunnersSeen(LEASE)
    seen.fold(beat("a"), at(0))
    seen.fold(beat("b"), at(3700))

    assert list(seen.older_than(timedelta(hours=1))) == ["a"]
