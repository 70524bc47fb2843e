"""Whole runs on real processes and a local store: by hand, and taken over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from eventflow.bus.reading import read_to_end
from eventflow.context import World
from eventflow.effects import Effects
from eventflow.errors import StoreUnreachable
from eventflow.execution.by_hand import OnLine, run_by_hand
from eventflow.execution.driver import RunDriver
from eventflow.execution.local import LocalExecutor
from eventflow.model.completion import Outcome
from eventflow.model.event import EventRecord
from eventflow.model.log import Record, TopicPartition
from eventflow.model.run import TaskState
from eventflow.model.task import RunEnd, RunPlan, TaskKey
from eventflow.settings import StoreSettings
from eventflow.store.artifacts import read_task
from eventflow.store.layout import flow_index_prefix, run_id_of_index_key
from eventflow.store.local import LocalStore
from eventflow.store.runs import EndFile, place_of, read_end, read_run
from tests.servers.s3 import S3Endpoint
from tests.support.eventually import eventually
from tests.support.flows import NOTING, Flows, diamond, is_running, one_step

DIAMOND = (
    NOTING
    + """
    @step
    def start(self):
        self.note("start")
        print("begins")
        self.rows = list(range(10))
        self.next(self.left, self.right)

    @step
    def left(self):
        self.note("left")
        self.sum = sum(self.rows)
        self.next(self.join)

    @step
    def right(self):
        self.note("right")
        while Path(self.folder, "wait").exists():
            time.sleep(0.005)
        self.sum = -1
        self.next(self.join)

    @step
    def join(self, inputs):
        self.note("join")
        self.total = inputs.left.sum + inputs.right.sum
        self.next(self.end)

    @step
    def end(self):
        self.note("end")
        print("total", self.total)
"""
)


class Jumping:
    """A clock on which ten seconds pass whenever somebody looks."""

    def __init__(self) -> None:
        self.seconds = 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> timedelta:
        self.seconds += 10
        return timedelta(seconds=self.seconds)


class Lossy(LocalStore):
    """A store that does not answer when it is given the second mark of life."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key.endswith("alive/0000000001"):
            raise StoreUnreachable("no answer")
        return super().put_if_absent(key, data)


def nothing(*_: object) -> None:
    """Watch without looking."""


def by_hand(flows: Flows, plan: RunPlan, on_line: OnLine = nothing) -> EndFile:
    world = flows.world()
    return run_by_hand(plan, flows.executor(), world.store, world.effects, on_line=on_line)


def marks_of_life(flows: Flows, plan: RunPlan) -> list[str]:
    prefix = place_of(plan.request).epoch(1) + "alive/"
    return [each.key for each in flows.world().store.list(prefix)]


def listed(flows: Flows, *, successful: bool) -> list[str]:
    prefix = flow_index_prefix("shop/user.ada", "F", successful=successful)
    return [run_id_of_index_key(each.key) for each in flows.world().store.list(prefix)]


class TestByHand:
    def test_a_run_goes_through_branches_and_a_join_to_its_end(self, flows: Flows) -> None:
        plan = flows.plan(flows.code(DIAMOND), diamond())

        end = by_hand(flows, plan)

        place = place_of(plan.request)
        store = flows.world().store
        steps = ("start", "left", "right", "join", "end")
        assert (end.outcome, end.reason, end.epoch) == (Outcome.SUCCEEDED, "", 1)
        assert end.manifest == {f"{step}/0": TaskKey(1, step) for step in steps}
        assert flows.artifact(flows.task(plan, "join"), "total") == 44
        assert read_end(store, place) == end
        assert read_run(store, place).request == plan.request
        assert listed(flows, successful=False) == [plan.request.run_id]
        assert listed(flows, successful=True) == [plan.request.run_id]

    def test_lines_come_with_their_task_and_before_its_end(self, flows: Flows) -> None:
        plan = flows.plan(flows.code(DIAMOND), diamond())
        world = flows.world()
        seen: list[str] = []

        def on_line(key: TaskKey, stream: str, line: str, /) -> None:
            seen.append(f"{key.step} {stream}: {line}")

        def on_task_state(state: TaskState) -> None:
            seen.append(f"{state.step} {state.state}")

        run_by_hand(
            plan,
            flows.executor(),
            world.store,
            world.effects,
            on_line=on_line,
            on_task_state=on_task_state,
        )

        assert seen[:3] == ["start running", "start stdout: begins", "start succeeded"]
        assert seen[-3:] == ["end running", "end stdout: total 44", "end succeeded"]

    def test_a_line_comes_while_its_task_runs(self, flows: Flows) -> None:
        body = "print('on')\nwhile not Path(self.folder, 'go').exists():\n    time.sleep(0.005)"
        plan = flows.plan(flows.code(one_step(body)))

        end = by_hand(flows, plan, lambda *_: (flows.folder / "go").touch())

        assert end.outcome is Outcome.SUCCEEDED

    def test_a_failure_is_the_end_of_the_run_with_its_reason(self, flows: Flows) -> None:
        plan = flows.plan(flows.code(one_step("raise ValueError('no rows')")))
        lines: list[str] = []

        end = by_hand(flows, plan, lambda _key, _stream, text: lines.append(text))

        assert end.outcome is Outcome.FAILED
        assert end.reason.startswith("Step start failed: ValueError: no rows (flow.py:")
        assert lines[-1] == "ValueError: no rows"
        assert end.manifest == {}
        assert listed(flows, successful=True) == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_cancels_it_and_leaves_no_process(
        self, flows: Flows, number: signal.Signals
    ) -> None:
        body = "Path(self.folder, 'on').write_text(f'{os.getpid()}\\n')\nprint(1)\ntime.sleep(60)"
        plan = flows.plan(flows.code(one_step(body)))
        former = signal.getsignal(number)

        def interrupt(_key: TaskKey, stream: str, _line: str) -> None:
            if stream == "stdout":
                os.kill(os.getpid(), number)

        end = by_hand(flows, plan, interrupt)

        assert (end.outcome, end.reason) == (Outcome.CANCELLED, f"stopped by {number.name}")
        eventually(lambda: not is_running(flows.pid("on")), timeout=5)
        assert eventually(lambda: flows.output(flows.task(plan), "stdout")) == "1\n"
        assert signal.getsignal(number) is former

    def test_a_step_can_clean_up_when_it_is_interrupted(self, flows: Flows) -> None:
        body = """
        try:
            print(1, flush=True)
            time.sleep(60)
        finally:
            Path(self.folder, "cleaned").touch()
        """
        plan = flows.plan(flows.code(one_step(body)))

        def interrupt(_key: TaskKey, stream: str, _line: str) -> None:
            if stream == "stdout":
                os.kill(os.getpid(), signal.SIGINT)

        end = by_hand(flows, plan, interrupt)

        assert (end.outcome, (flows.folder / "cleaned").exists()) == (Outcome.CANCELLED, True)

    def test_a_second_interrupt_kills_what_does_not_heed_the_first(self, flows: Flows) -> None:
        body = """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Path(self.folder, 'on').write_text(f'{os.getpid()}\\n')
        print(1, flush=True)
        time.sleep(60)
        """
        plan = flows.plan(flows.code(one_step(body)))

        def interrupt_twice(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        end = by_hand(flows, plan, interrupt_twice)

        assert (end.outcome, end.reason) == (Outcome.CANCELLED, "stopped at once by SIGINT")
        eventually(lambda: not is_running(flows.pid("on")), timeout=5)

    def test_a_third_interrupt_does_not_keep_the_end_from_being_written(
        self, flows: Flows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = flows.plan(flows.code(one_step("print(1, flush=True)\ntime.sleep(60)")))
        kill = LocalExecutor.kill

        def interrupted(executor: LocalExecutor, run_id: str, epoch: int) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            kill(executor, run_id, epoch)

        monkeypatch.setattr(LocalExecutor, "kill", interrupted)

        def interrupt_twice(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        end = by_hand(flows, plan, interrupt_twice)

        assert (end.outcome, end.reason) == (Outcome.CANCELLED, "stopped at once by SIGINT")
        assert read_end(flows.world().store, place_of(plan.request)) == end

    def test_marks_of_life_come_while_it_runs_and_go_with_it(self, flows: Flows) -> None:
        body = "print(1)\nwhile not Path(self.folder, 'go').exists():\n    time.sleep(0.005)"
        plan = flows.plan(flows.code(one_step(body)))
        world = flows.world()
        seen: list[str] = []

        def look(*_: object) -> None:
            seen.extend(marks_of_life(flows, plan))
            (flows.folder / "go").touch()

        run_by_hand(plan, flows.executor(), world.store, Effects(clock=Jumping()), on_line=look)

        assert seen[:2] == [place_of(plan.request).alive(number) for number in (0, 1)]
        assert marks_of_life(flows, plan) == []

    def test_a_store_that_is_away_for_a_mark_of_life_does_not_end_it(self, flows: Flows) -> None:
        plan = flows.plan(flows.code(one_step("")))
        flows.world()

        end = run_by_hand(
            plan,
            flows.executor(),
            Lossy(flows.home / "store"),
            Effects(clock=Jumping()),
            on_line=nothing,
        )

        assert end.outcome is Outcome.SUCCEEDED

    @pytest.mark.s3
    def test_a_run_keeps_its_artifacts_in_a_bucket(
        self,
        flows: Flows,
        s3_server: S3Endpoint,
        s3_bucket: str,
        s3_prefix: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
        flows.store = StoreSettings(
            url=f"s3://{s3_bucket}/{s3_prefix}",
            endpoint_url=s3_server.endpoint_url,
            region=s3_server.region,
        )
        source = one_step("self.large = os.urandom(100_000)\nself.small = 7")
        source = source.replace(
            "    def end(self):\n        pass",
            "    def end(self):\n        self.size = len(self.large) + self.small",
        )
        plan = flows.plan(flows.code(source))

        end = by_hand(flows, plan)

        assert (end.outcome, end.reason) == (Outcome.SUCCEEDED, "")
        assert flows.artifact(flows.task(plan, "end"), "size") == 100_007

    def test_events_that_a_task_publishes_are_in_its_record_and_in_the_log(
        self, flows: Flows
    ) -> None:
        body = "for n in (1, 2):\n    Event('counted', {'n': n}).publish()"
        source = one_step(body, module="from eventflow import Event")
        plan = flows.plan(flows.code(source))

        by_hand(flows, plan)

        world = flows.world()
        record = read_task(world.store, place_of(plan.request), TaskKey(1, "start"))
        events = {
            where: world.codec.decode(each.value)
            for where, each in records_of(world)
            if each.value is not None
        }
        ids = [f"{plan.request.run_id}/start/0/{number}" for number in (0, 1)]
        assert [str(offset) for offset in record.published] == list(events)
        assert [event.id for event in events.values() if isinstance(event, EventRecord)] == ids
        world.close()


def records_of(world: World) -> Iterator[tuple[str, Record]]:
    """Every record of `events`, by its offset as people write it."""
    for partition in range(world.topics.event_partitions):
        where = TopicPartition(world.topics.events, partition)
        for record in read_to_end(world.bus, where):
            yield f"{where.topic}/{partition}/{record.offset}", record


class TestTakeOver:
    def test_executes_only_what_is_missing(self, flows: Flows) -> None:
        root = flows.code(DIAMOND)
        (flows.folder / "wait").touch()
        plan = flows.plan(root, diamond())
        dying = flows.executor()
        first = RunDriver(plan, dying, flows.world().store, Effects())
        first.begin()
        drive_until(dying, first, lambda: first.finished_tasks == 2)
        dying.close()
        flows.executors.remove(dying)
        (flows.folder / "wait").unlink()
        flows.ran()

        executor = flows.executor()
        second = RunDriver(replace(plan, epoch=2), executor, flows.world().store, Effects())
        second.begin(reuse=True)
        end = drive_to_its_end(executor, second)

        assert end.outcome is Outcome.SUCCEEDED
        assert flows.ran() == ["right", "join", "end"]
        assert {key: attempt.epoch for key, attempt in end.manifest.items()} == {
            "start/0": 1,
            "left/0": 1,
            "right/0": 2,
            "join/0": 2,
            "end/0": 2,
        }
        assert flows.artifact(flows.task(replace(plan, epoch=2), "join"), "total") == 44


def drive_until(executor: LocalExecutor, driver: RunDriver, is_done: Callable[[], object]) -> None:
    def is_done_now() -> object:
        for end in executor.poll(timedelta(milliseconds=100)):
            driver.task_ended(end)
        return is_done()

    eventually(is_done_now)


def drive_to_its_end(executor: LocalExecutor, driver: RunDriver) -> RunEnd:
    drive_until(executor, driver, lambda: driver.end)
    assert driver.end is not None
    return driver.end
