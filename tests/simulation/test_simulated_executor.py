"""Simulated tasks do to the world what real ones do, and end as their runner and template say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from eventflow.codec.codec import Codec
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskEnd, TaskKey, TaskPlan
from eventflow.model.topics import Topics
from eventflow.store.runs import place_of
from tests.simulation.happenings import Happening
from tests.simulation.simulated_bus import SimulatedBus
from tests.simulation.simulated_cluster import Cluster
from tests.simulation.simulated_executor import SimulatedExecutor, TaskHistory, TaskWorld
from tests.simulation.simulated_store import Bucket
from tests.simulation.universe import Process, Universe
from tests.support.stored import plan

PLAN = replace(plan("shop/prod"), key=TaskKey(1, "start"))
ARTIFACTS = place_of(PLAN.run.request).artifacts(PLAN.key)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
_POLL = timedelta(milliseconds=2)


@dataclass
class Rig:
    """One runner process, which starts a task and polls as long as it lives."""

    told: frozenset[Happening] = frozenset()
    plan: TaskPlan = PLAN
    ends: list[TaskEnd] = field(default_factory=list)
    then: Callable[[SimulatedExecutor], None] = lambda _: None

    def __post_init__(self) -> None:
        self.universe = Universe.by(7, {}, self.told)
        self.bucket = Bucket(lambda: self.universe.now, self.universe.stamp)
        self.world = TaskWorld(
            universe=self.universe,
            bucket=self.bucket,
            connect=lambda: SimulatedBus(self.universe, Cluster(self.universe)),
            codec=Codec(Topics("sim.", 1, 1)),
            history=list[TaskHistory](),
            oddities=list[str](),
        )
        self.runner = self.universe.spawn("runner", self._main, self._ended)

    def _main(self, process: Process) -> None:
        self.executor = SimulatedExecutor(self.world, process)
        self.executor.start(self.plan)
        self.then(self.executor)
        while True:
            self.ends.extend(self.executor.poll(_POLL))
            self.universe.effect("polled")

    def _ended(self, _process: Process, _died_of: BaseException | None) -> None:
        self.executor.orphan()

    def pass_time(self, time: timedelta) -> None:
        self.universe.run(lambda: False, self.universe.time + time)

    @property
    def task(self) -> Process:
        return next(each for each in self.universe.processes.values() if each is not self.runner)

    @property
    def effects_of_task(self) -> int:
        return sum(name not in ("", "runner") for _, name, _ in self.universe.trace)


def test_a_task_that_ends_well_leaves_its_artifacts_and_is_told_once() -> None:
    rig = Rig()

    rig.pass_time(10 * SECOND)

    assert [(end.key, end.outcome, end.next_steps) for end in rig.ends] == [
        (PLAN.key, Outcome.SUCCEEDED, ("end",))
    ]
    assert ARTIFACTS in rig.bucket.objects
    assert [each.fate for each in rig.world.history] == ["done"]


def test_a_task_that_fails_leaves_nothing_and_is_told_once() -> None:
    rig = Rig(frozenset({("task.fails", 1)}))

    rig.pass_time(10 * SECOND)

    assert [end.outcome for end in rig.ends] == [Outcome.FAILED]
    assert not rig.bucket.objects
    assert [each.fate for each in rig.world.history] == ["failed"]


@pytest.mark.parametrize("effects", range(1, 4))
def test_a_task_that_dies_has_succeeded_exactly_when_its_artifacts_stand(effects: int) -> None:
    rig = Rig()
    rig.universe.keeps_trace = True

    rig.universe.run(lambda: rig.effects_of_task >= effects, 20 * HOUR)
    rig.universe.kill(rig.task)
    rig.pass_time(SECOND)

    stands = ARTIFACTS in rig.bucket.objects
    assert [end.outcome is Outcome.SUCCEEDED for end in rig.ends] == [stands]
    assert stands is (effects == 3)  # it begins, puts, and has the answer


def test_a_task_that_began_without_its_inputs_is_an_oddity() -> None:
    rig = Rig(plan=replace(PLAN, key=TaskKey(1, "end"), inputs=(PLAN.key,)))

    rig.pass_time(10 * SECOND)

    assert len(rig.world.oddities) == 1
    assert [end.outcome for end in rig.ends] == [Outcome.FAILED]


def test_the_end_of_a_killed_task_is_not_told() -> None:
    run_id = PLAN.run.request.run_id
    rig = Rig(frozenset({("task.is-long", 1)}), then=lambda executor: executor.kill(run_id, 1))

    rig.pass_time(60 * SECOND)

    assert rig.ends == []
    assert not rig.task.is_alive
    assert not rig.bucket.objects


def test_the_tasks_of_a_dead_runner_are_gone_in_a_moment() -> None:
    rig = Rig(frozenset({("task.is-long", 1)}))
    rig.pass_time(timedelta(milliseconds=5))

    rig.universe.kill(rig.runner)
    rig.pass_time(SECOND)

    assert not rig.task.is_alive
    assert not rig.bucket.objects


def test_the_template_kills_the_tasks_of_a_runner_that_is_stopped_for_the_lease() -> None:
    rig = Rig(frozenset({("task.is-long", 1)}))
    rig.pass_time(timedelta(milliseconds=5))
    rig.universe.stop(rig.task, 100 * SECOND)
    rig.universe.stop(rig.runner, 40 * SECOND)

    rig.pass_time(29 * SECOND)
    was_alive = rig.task.is_alive
    rig.pass_time(5 * SECOND)
    is_alive = rig.task.is_alive

    assert (was_alive, is_alive) == (True, False)
    assert rig.ends == []


def test_a_task_that_was_killed_for_the_silence_of_its_runner_starts_anew() -> None:
    rig = Rig(frozenset({("task.is-long", 1)}))
    rig.pass_time(timedelta(milliseconds=5))
    rig.universe.stop(rig.task, 100 * SECOND)
    rig.universe.stop(rig.runner, 40 * SECOND)

    rig.pass_time(60 * SECOND)

    assert [end.outcome for end in rig.ends] == [Outcome.SUCCEEDED]
    assert [each.fate for each in rig.world.history] == ["silenced", "done"]
