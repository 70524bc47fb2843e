"""The driver of a run: attempts that are repeated and caught, and how many are at work at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eventflow.execution.driver import RunLimits
from eventflow.model.completion import Outcome
from eventflow.model.graph import StepKind
from eventflow.model.policy import StepPolicy
from eventflow.model.run import WAITING
from eventflow.model.task import TaskKey
from eventflow.store.local import LocalStore
from tests.support.driven import Driven, finish, graph, node, plan_of

THRICE = StepPolicy(retries=2, retry_wait_s=60, retry_backoff=2)
AT_ONCE = StepPolicy(retries=2)
CAUGHT = StepPolicy(is_caught=True, catch_artifact="why")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def line(store: LocalStore, policy: StepPolicy, **options: Any) -> Driven:
    """A run whose step `train` has begun."""
    steps = node("start", "train"), node("train", "end", policy=policy), node("end")
    driven = Driven(plan_of(graph(*steps)), store, **options)
    driven.driver.begin()
    driven.succeeds("start/0/0")
    return driven


def fan_out(
    store: LocalStore,
    splits: int,
    *,
    kind: StepKind = StepKind.FOREACH,
    policy: StepPolicy | None = None,
    **limits: int,
) -> Driven:
    """A run whose first step has opened so many tasks of `each`."""
    steps = (
        node("start", "each", kind=kind),
        node("each", "join", policy=policy),
        node("join", joins=True),
    )
    driven = Driven(plan_of(graph(*steps)), store, limits=RunLimits(**limits))
    driven.driver.begin()
    driven.succeeds("start/0/0", splits=splits)
    return driven


class TestRetries:
    def test_a_failed_attempt_is_repeated_after_its_wait_and_not_before(
        self, store: LocalStore
    ) -> None:
        driven = line(store, THRICE)

        driven.fails("train/0/0")
        driven.clock.move(MINUTE - timedelta(seconds=1))
        driven.driver.tick()
        early = driven.executor.paths[1:]
        driven.clock.move(timedelta(seconds=1))
        driven.driver.tick()

        assert early == ["train/0/0"]
        assert driven.executor.paths[1:] == ["train/0/0", "train/0/1"]
        assert driven.driver.end is None

    def test_a_wait_is_told_with_the_time_when_it_is_over(self, store: LocalStore) -> None:
        driven = line(store, THRICE)

        driven.fails("train/0/0")

        (waiting,) = [each for each in driven.states if each.state == WAITING]
        assert (waiting.step, waiting.attempt) == ("train", 1)
        assert waiting.at - driven.clock.now() == MINUTE

    def test_the_wait_grows_by_its_factor(self, store: LocalStore) -> None:
        driven = line(store, THRICE)
        driven.fails("train/0/0")
        driven.clock.move(MINUTE)
        driven.driver.tick()

        driven.fails("train/0/1")
        driven.clock.move(MINUTE)
        driven.driver.tick()
        early = driven.executor.paths[-1]
        driven.clock.move(MINUTE)
        driven.driver.tick()

        assert early == "train/0/1"
        assert driven.executor.paths[-1] == "train/0/2"

    def test_an_attempt_without_a_wait_begins_at_once_and_counts_in_the_manifest(
        self, store: LocalStore
    ) -> None:
        driven = line(store, AT_ONCE)

        driven.fails("train/0/0")
        driven.fails("train/0/1")
        driven.succeeds("train/0/2")
        driven.succeeds("end/0/0")

        end = driven.driver.end
        assert end is not None
        assert end.outcome is Outcome.SUCCEEDED
        assert end.manifest["train/0"].attempt == 2
        assert driven.executor.tasks[-1].inputs == (end.manifest["train/0"],)

    def test_the_last_attempt_that_fails_is_the_reason_of_the_run(self, store: LocalStore) -> None:
        driven = line(store, AT_ONCE)

        driven.fails("train/0/0", "first")
        driven.fails("train/0/1", "second")
        driven.fails("train/0/2", "third")

        assert driven.driver.end is not None
        assert driven.driver.end.reason == "Step train failed: third"

    def test_an_attempt_that_fails_for_good_is_not_repeated(self, store: LocalStore) -> None:
        driven = line(store, THRICE)

        driven.fails("train/0/0", "no self.next", is_final=True)

        assert driven.driver.end is not None
        assert driven.driver.end.reason == "Step train failed: no self.next"

    def test_a_repeated_attempt_has_the_inputs_and_the_item_of_the_first(
        self, store: LocalStore
    ) -> None:
        driven = fan_out(store, 2, policy=AT_ONCE)

        driven.fails("each/0-1/0")

        first, again = driven.executor.tasks[2], driven.executor.tasks[3]
        assert driven.executor.paths[2:] == ["each/0-1/0", "each/0-1/1"]
        assert (again.inputs, again.items) == (first.inputs, first.items)

    def test_when_the_run_has_failed_what_waits_is_given_up_and_what_runs_may_end(
        self, store: LocalStore
    ) -> None:
        driven = fan_out(store, 3, policy=StepPolicy(retries=1, retry_wait_s=60))
        driven.fails("each/0-0/0")
        driven.clock.move(MINUTE)
        driven.driver.tick()
        driven.fails("each/0-1/0")  # waits for its next attempt

        driven.fails("each/0-0/1", "for good")
        while_one_runs = driven.driver.end
        driven.succeeds("each/0-2/0")
        driven.clock.move(2 * MINUTE)
        driven.driver.tick()

        assert while_one_runs is None
        assert driven.driver.end is not None
        assert driven.driver.end.reason == "Step each/0-0 failed: for good"
        assert "each/0-1/1" not in driven.executor.paths

    def test_an_attempt_that_fails_after_the_run_has_failed_is_not_repeated(
        self, store: LocalStore
    ) -> None:
        driven = fan_out(store, 2, policy=StepPolicy(retries=1))
        driven.fails("each/0-0/0")
        driven.fails("each/0-0/1", "for good")

        driven.fails("each/0-1/0")

        assert driven.driver.end is not None
        assert driven.driver.end.reason == "Step each/0-0 failed: for good"
        assert driven.executor.paths.count("each/0-1/0") == 1

    @pytest.mark.parametrize("how", ["too many items", "where the graph does not lead"])
    def test_what_waits_is_given_up_however_the_run_has_failed(
        self, store: LocalStore, how: str
    ) -> None:
        steps = (
            node("start", "slow", "wide"),
            node("slow", "join", policy=THRICE),
            node("wide", "item", kind=StepKind.FOREACH),
            node("item", "rows"),
            node("rows", "join", joins=True),
            node("join", joins=True),
        )
        driven = Driven(plan_of(graph(*steps)), store, limits=RunLimits(max_num_splits=5))
        driven.driver.begin()
        driven.succeeds("start/0/0")
        driven.fails("slow/0/0")

        if how == "too many items":
            driven.succeeds("wide/0/0", splits=6)
        else:
            driven.succeeds("wide/0/0", to=("rows",), splits=2)
        end = driven.driver.end

        assert end is not None
        assert end.outcome is Outcome.FAILED
        assert end.reason.startswith("Step wide ")


class TestCatch:
    def test_after_a_death_another_attempt_goes_on_with_the_reason_and_without_the_step(
        self, store: LocalStore
    ) -> None:
        driven = line(store, CAUGHT)

        driven.fails("train/0/0", "its process was killed by SIGKILL")

        caught = driven.executor.tasks[-1]
        assert driven.executor.paths[-1] == "train/0/1"
        assert caught.failure == "its process was killed by SIGKILL"
        assert driven.driver.end is None

    def test_it_comes_after_the_last_retry_only(self, store: LocalStore) -> None:
        driven = line(store, StepPolicy(retries=1, is_caught=True))

        driven.fails("train/0/0", "first")
        driven.fails("train/0/1", "second")

        assert [task.failure for task in driven.executor.tasks[1:]] == ["", "", "second"]

    def test_a_run_goes_on_after_it_and_succeeds(self, store: LocalStore) -> None:
        driven = line(store, CAUGHT)
        driven.fails("train/0/0")

        driven.succeeds("train/0/1")
        driven.succeeds("end/0/0")

        assert driven.driver.end is not None
        assert driven.driver.end.outcome is Outcome.SUCCEEDED
        assert driven.driver.end.manifest["train/0"].attempt == 1

    def test_when_even_that_fails_the_run_fails(self, store: LocalStore) -> None:
        driven = line(store, CAUGHT)
        driven.fails("train/0/0", "first")

        driven.fails("train/0/1", "the disk is full")

        assert driven.driver.end is not None
        assert driven.driver.end.reason == "Step train failed: the disk is full"


class TestRoom:
    def test_no_more_tasks_are_at_work_than_allowed_and_each_end_makes_room(
        self, store: LocalStore
    ) -> None:
        driven = fan_out(store, 5, max_workers=2)
        at_first = driven.executor.paths[1:]

        driven.succeeds("each/0-1/0")

        assert at_first == ["each/0-0/0", "each/0-1/0"]
        assert driven.executor.paths[1:] == ["each/0-0/0", "each/0-1/0", "each/0-2/0"]

    def test_an_attempt_whose_time_has_come_waits_for_room_and_comes_before_new_tasks(
        self, store: LocalStore
    ) -> None:
        driven = fan_out(store, 5, max_workers=2, policy=StepPolicy(retries=1, retry_wait_s=60))
        driven.fails("each/0-0/0")  # makes room for 0-2
        driven.clock.move(MINUTE)
        driven.driver.tick()
        full = driven.executor.paths[1:]

        driven.succeeds("each/0-1/0")

        assert full == ["each/0-0/0", "each/0-1/0", "each/0-2/0"]
        assert driven.executor.paths[-1] == "each/0-0/1"

    def test_a_gang_starts_as_a_whole_whatever_the_limit(self, store: LocalStore) -> None:
        driven = fan_out(store, 4, kind=StepKind.PARALLEL, max_workers=2)

        assert driven.executor.paths[1:] == [f"each/0-{n}/0" for n in range(4)]

    def test_a_task_of_a_gang_is_repeated_while_the_others_are_at_work(
        self, store: LocalStore
    ) -> None:
        # They may be waiting for it.
        driven = fan_out(store, 4, kind=StepKind.PARALLEL, max_workers=2, policy=AT_ONCE)

        driven.fails("each/0-3/0")

        assert driven.executor.paths[-1] == "each/0-3/1"

    def test_a_gang_at_work_leaves_the_room_to_others(self, store: LocalStore) -> None:
        steps = (
            node("start", "gang", "lone"),
            node("gang", "member", kind=StepKind.PARALLEL),
            node("member", "members"),
            node("members", "join", joins=True),
            node("lone", "more"),
            node("more", "join"),
            node("join", joins=True),
        )
        driven = Driven(plan_of(graph(*steps)), store, limits=RunLimits(max_workers=2))
        driven.driver.begin()
        driven.succeeds("start/0/0")
        driven.succeeds("gang/0/0", splits=3)

        driven.succeeds("lone/0/0")

        assert driven.executor.paths[-1] == "more/0/0"

    def test_as_many_items_as_allowed_are_run_and_one_more_is_refused(
        self, store: LocalStore
    ) -> None:
        just = fan_out(store, 3, max_num_splits=3)
        more = fan_out(store, 4, max_num_splits=3)

        assert just.executor.paths[1:] == [f"each/0-{n}/0" for n in range(3)]
        assert more.executor.paths[1:] == []
        assert more.driver.end is not None
        assert more.driver.end.reason.startswith(
            "Step start opens 4 tasks, and at most 3 are allowed: raise --max-num-splits"
        )
        assert list(more.driver.end.manifest) == ["start/0"]

    def test_whoever_takes_a_run_over_has_a_limit_of_its_own(self, store: LocalStore) -> None:
        first = fan_out(store, 4)
        finish(store, first.plan, TaskKey(1, "start"), splits=4)

        later = Driven(plan_of(first.plan.graph, 2), store, limits=RunLimits(max_num_splits=3))
        later.driver.begin(reuse=True)

        assert later.executor.paths == []
        assert later.driver.end is not None
        assert "opens 4 tasks, and at most 3 are allowed" in later.driver.end.reason
        assert list(later.driver.end.manifest) == ["start/0"]


class TestCancel:
    def test_what_waits_for_its_next_attempt_is_not_started_any_more(
        self, store: LocalStore
    ) -> None:
        driven = line(store, THRICE)
        driven.fails("train/0/0")

        driven.driver.cancel("stopped")
        driven.clock.move(2 * MINUTE)
        driven.driver.tick()

        assert driven.executor.paths[1:] == ["train/0/0"]
        assert driven.driver.end is not None
        assert driven.driver.end.outcome is Outcome.CANCELLED

    def test_every_task_at_work_is_told_as_cancelled(self, store: LocalStore) -> None:
        driven = fan_out(store, 3, max_workers=2)

        driven.driver.cancel("stopped")

        assert [(each.task, each.state) for each in driven.states[-2:]] == [
            ("0-0", "cancelled"),
            ("0-1", "cancelled"),
        ]

    def test_after_a_stop_what_runs_may_end_and_nothing_follows_it(self, store: LocalStore) -> None:
        driven = fan_out(store, 3, max_workers=2, policy=AT_ONCE)

        driven.driver.stop()
        driven.succeeds("each/0-0/0")
        driven.fails("each/0-1/0")
        driven.driver.tick()
        at_work = driven.driver.is_at_work
        driven.driver.cancel("stopped by SIGINT")

        assert driven.executor.paths[1:] == ["each/0-0/0", "each/0-1/0"]
        assert not at_work
        assert driven.driver.end is not None
        assert driven.driver.end.outcome is Outcome.CANCELLED
        assert set(driven.driver.end.manifest) == {"start/0", "each/0-0"}
