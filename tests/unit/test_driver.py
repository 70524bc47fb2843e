"""The driver of a run: what it starts, when it ends, what it takes over from an earlier epoch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventflow.effects import Effects
from eventflow.execution.driver import RunDriver
from eventflow.execution.messages import decode_run, encode_run
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph
from eventflow.model.offset import Offset
from eventflow.model.run import Cause, RunRequest, TaskState
from eventflow.model.task import RunPlan, TaskEnd, TaskKey
from eventflow.model.trigger import Source
from eventflow.store.artifacts import TaskRecord, write_task
from eventflow.store.local import LocalStore
from eventflow.store.runs import place_of
from tests.support.driven import Started, node

NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)


LINE = FlowGraph("Line", "line.py", "", (node("start", "train"), node("train", "end"), node("end")))
DIAMOND = FlowGraph(
    "Diamond",
    "diamond.py",
    "",
    (
        node("start", "left", "right"),
        node("left", "join"),
        node("right", "join"),
        node("join", "end", joins=True),
        node("end"),
    ),
)


def plan_of(graph: FlowGraph, epoch: int = 1) -> RunPlan:
    request = RunRequest(
        run_id="r" + "a" * 20,
        namespace="shop/prod",
        flow=graph.flow,
        version=3,
        parameters={"day": '"2026-01-31"'},
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=NOW,
    )
    return RunPlan(request, graph, "/code", graph.file, epoch)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def executor() -> Started:
    return Started()


class Bench:
    """A driver at work on an executor that the test plays."""

    def __init__(self, plan: RunPlan, executor: Started, store: LocalStore) -> None:
        self.plan, self.states = plan, list[TaskState]()
        self.driver = RunDriver(plan, executor, store, Effects(), on_task_state=self.states.append)

    def ends(
        self,
        step: str,
        outcome: Outcome = Outcome.SUCCEEDED,
        *,
        to: tuple[str, ...] | None = None,
        reason: str = "",
    ) -> None:
        next_steps = self.plan.graph.step(step).next_steps if to is None else to
        key = TaskKey(self.plan.epoch, step)
        run_id = self.plan.request.run_id
        self.driver.task_ended(TaskEnd(run_id, key, outcome, next_steps, reason, NOW))


class TestOrder:
    def test_steps_follow_one_another_each_with_the_one_before_as_its_input(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)

        bench.driver.begin()
        bench.ends("start")
        bench.ends("train")

        assert executor.steps == ["start", "train", "end"]
        assert [task.inputs for task in executor.tasks] == [
            (),
            (TaskKey(1, "start"),),
            (TaskKey(1, "train"),),
        ]

    def test_branches_run_side_by_side_and_a_join_waits_for_all_of_them(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(DIAMOND), executor, store)
        bench.driver.begin()
        bench.ends("start")

        bench.ends("right")
        before = executor.steps
        bench.ends("left")

        assert before == ["start", "left", "right"]
        assert executor.tasks[-1].key.step == "join"
        assert executor.tasks[-1].inputs == (TaskKey(1, "left"), TaskKey(1, "right"))

    def test_an_end_that_comes_twice_starts_nothing_twice(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)
        bench.driver.begin()

        bench.ends("start")
        bench.ends("start")

        assert executor.steps == ["start", "train"]


class TestEnd:
    def test_the_manifest_of_a_success_names_the_attempt_of_every_task(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)
        bench.driver.begin()
        for step in ("start", "train", "end"):
            assert bench.driver.end is None
            bench.ends(step)

        end = bench.driver.end

        assert end is not None
        assert end.outcome is Outcome.SUCCEEDED
        assert end.manifest == {f"{step}/0": TaskKey(1, step) for step in ("start", "train", "end")}

    def test_a_failure_lets_the_siblings_end_and_starts_nothing_else(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(DIAMOND), executor, store)
        bench.driver.begin()
        bench.ends("start")

        bench.ends("left", Outcome.FAILED, reason="ValueError: no rows (diamond.py:7)")
        while_right_runs = bench.driver.end
        bench.ends("right")

        end = bench.driver.end
        assert while_right_runs is None
        assert executor.steps == ["start", "left", "right"]
        assert end is not None
        assert end.outcome is Outcome.FAILED
        assert end.reason == "Step left failed: ValueError: no rows (diamond.py:7)"
        assert set(end.manifest) == {"start/0", "right/0"}

    def test_a_task_that_goes_where_the_graph_does_not_fails_the_run(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(DIAMOND), executor, store)
        bench.driver.begin()

        bench.ends("start", to=("left", "end"))

        assert bench.driver.end is not None
        assert bench.driver.end.outcome is Outcome.FAILED
        assert "left, end, not to left, right" in bench.driver.end.reason

    def test_a_cancelled_run_kills_its_tasks_and_keeps_what_finished(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)
        bench.driver.begin()
        bench.ends("start")

        bench.driver.cancel("stopped by SIGINT")
        bench.ends("train")

        end = bench.driver.end
        assert executor.killed == [(bench.plan.request.run_id, 1)]
        assert executor.steps == ["start", "train"]
        assert end is not None
        assert (end.outcome, end.reason) == (Outcome.CANCELLED, "stopped by SIGINT")
        assert set(end.manifest) == {"start/0"}

    def test_cancelling_after_the_end_changes_nothing(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)
        bench.driver.begin()
        bench.ends("start", Outcome.FAILED, reason="out of paper")

        bench.driver.cancel("too late")

        assert bench.driver.end is not None
        assert bench.driver.end.outcome is Outcome.FAILED

    def test_every_task_is_told_of_when_it_begins_and_when_it_ends(
        self, executor: Started, store: LocalStore
    ) -> None:
        bench = Bench(plan_of(LINE), executor, store)

        bench.driver.begin()
        bench.ends("start")
        bench.ends("train", Outcome.FAILED)

        assert [(each.step, each.state) for each in bench.states] == [
            ("start", "running"),
            ("start", "succeeded"),
            ("train", "running"),
            ("train", "failed"),
        ]


def finish(store: LocalStore, plan: RunPlan, key: TaskKey, *inputs: TaskKey) -> None:
    """Leave what an attempt that succeeded leaves."""
    next_steps = plan.graph.step(key.step).next_steps
    record = TaskRecord(key, {}, next_steps, (), NOW, NOW, inputs)
    write_task(store, place_of(plan.request), record, nonce=key.path)


class TestTakeOver:
    def test_only_what_no_earlier_epoch_finished_is_executed(
        self, executor: Started, store: LocalStore
    ) -> None:
        plan = plan_of(DIAMOND, epoch=2)
        start = TaskKey(1, "start")
        finish(store, plan, start)
        finish(store, plan, TaskKey(1, "left"), start)
        bench = Bench(plan, executor, store)

        bench.driver.begin(reuse=True)

        assert executor.steps == ["right"]
        assert executor.tasks[0].key == TaskKey(2, "right")
        assert executor.tasks[0].inputs == (start,)
        assert bench.driver.finished_tasks == 2

    def test_the_manifest_mixes_epochs_by_what_was_executed_where(
        self, executor: Started, store: LocalStore
    ) -> None:
        plan = plan_of(LINE, epoch=3)
        finish(store, plan, TaskKey(1, "start"))
        finish(store, plan, TaskKey(2, "train"), TaskKey(1, "start"))
        bench = Bench(plan, executor, store)

        bench.driver.begin(reuse=True)
        bench.ends("end")

        assert bench.driver.end is not None
        assert bench.driver.end.manifest == {
            "start/0": TaskKey(1, "start"),
            "train/0": TaskKey(2, "train"),
            "end/0": TaskKey(3, "end"),
        }

    def test_a_finished_run_without_an_end_only_has_to_be_concluded(
        self, executor: Started, store: LocalStore
    ) -> None:
        plan = plan_of(LINE, epoch=2)
        keys = [TaskKey(1, step) for step in ("start", "train", "end")]
        finish(store, plan, keys[0])
        finish(store, plan, keys[1], keys[0])
        finish(store, plan, keys[2], keys[1])
        bench = Bench(plan, executor, store)

        bench.driver.begin(reuse=True)

        assert executor.tasks == []
        assert bench.driver.end is not None
        assert bench.driver.end.outcome is Outcome.SUCCEEDED

    def test_what_a_zombie_made_of_other_inputs_is_not_mixed_in(
        self, executor: Started, store: LocalStore
    ) -> None:
        # Epoch 3 read train of epoch 1; then a late train of epoch 2 landed.
        plan = plan_of(LINE, epoch=4)
        start = TaskKey(1, "start")
        finish(store, plan, start)
        finish(store, plan, TaskKey(1, "train"), start)
        finish(store, plan, TaskKey(3, "end"), TaskKey(1, "train"))
        finish(store, plan, TaskKey(2, "train"), start)
        bench = Bench(plan, executor, store)

        bench.driver.begin(reuse=True)

        assert executor.tasks[0].key == TaskKey(4, "end")
        assert executor.tasks[0].inputs == (TaskKey(2, "train"),)

    def test_outputs_without_artifacts_are_no_finished_task(
        self, executor: Started, store: LocalStore
    ) -> None:
        plan = plan_of(LINE, epoch=2)
        place = place_of(plan.request)
        store.put_if_absent(place.attempt(1, "start", "0", 0) + "stderr", b"killed")
        store.put_if_absent(place.alive(3), b"")
        bench = Bench(plan, executor, store)

        bench.driver.begin(reuse=True)

        assert executor.steps == ["start"]


def test_a_run_reaches_its_tasks_as_it_was() -> None:
    plan = plan_of(DIAMOND)
    cause = Cause(
        origin=Offset("events", "t1", 3, 41),
        kind=Source.EVENT,
        event_id="e1",
        name="flights_landed",
        namespace="shop/*",
        at=NOW,
        payload=b'{"day":"\xc3\xa9"}',
        content_type="application/json",
    )
    caused = replace(
        plan, request=replace(plan.request, causes=(cause,), roots=(cause.origin,), hops=2)
    )

    assert decode_run(encode_run(caused)) == caused
