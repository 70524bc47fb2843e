"""The local executor as processes: who dies with whom, what is forked, what it costs."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from eventflow.execution.local import LocalExecutor
from eventflow.model.completion import Outcome
from eventflow.model.offset import Offset
from eventflow.model.run import Cause
from eventflow.model.task import TaskEnd
from eventflow.model.trigger import Source
from tests.support.eventually import eventually
from tests.support.flows import Flows, is_running, one_step, run_out

SLEEPER = """
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    Path(self.folder, "child").write_text(f"{child.pid}\\n")
    Path(self.folder, "task").write_text(f"{os.getpid()}\\n")
    Path(self.folder, "template").write_text(f"{os.getppid()}\\n")
    time.sleep(60)
"""
SLEEPS_ONCE = """
    is_first = not Path(self.folder, "task").exists()
    Path(self.folder, "task").write_text(f"{os.getpid()}\\n")
    time.sleep(60 * is_first)
"""
WHO = "self.who = (os.getpid(), os.getppid(), IMPORTED_BY)"
IMPORTED_BY = "IMPORTED_BY = os.getpid()"


def processes(flows: Flows) -> list[int]:
    """The template, the task and the child of a task that sleeps."""
    return [flows.pid(name) for name in ("template", "task", "child")]


@contextmanager
def child_with_executor(flows: Flows, root: Path, lease: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.executor_child"]
    with subprocess.Popen(
        [*command, str(flows.home), str(root), str(lease)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def all_gone(pids: list[int]) -> bool:
    return not any(map(is_running, pids))


class TestDeath:
    def test_of_the_executors_process_takes_templates_tasks_and_their_children_along(
        self, flows: Flows
    ) -> None:
        root = flows.code(one_step(SLEEPER))
        with child_with_executor(flows, root, lease=30) as child:
            pids = processes(flows)

            child.kill()

            eventually(lambda: all_gone(pids), timeout=5)

    def test_of_the_executors_process_during_the_import_takes_the_template_along(
        self, flows: Flows
    ) -> None:
        importing = (
            f"Path({str(flows.folder)!r}, 'on').write_text(f'{{os.getpid()}}\\n')\ntime.sleep(60)"
        )
        root = flows.code(one_step("", module=importing))
        with child_with_executor(flows, root, lease=30) as child:
            template = flows.pid("on")

            child.kill()

            eventually(lambda: not is_running(template), timeout=5)

    def test_of_an_importing_template_at_close_comes_at_once_to_what_the_module_started_too(
        self, flows: Flows
    ) -> None:
        importing = (
            "helper = subprocess.Popen(['sleep', '60'])\n"
            f"Path({str(flows.folder)!r}, 'on').write_text(f'{{helper.pid}}\\n')\n"
            "time.sleep(60)"
        )
        executor = flows.executor()
        executor.start(flows.task(flows.plan(flows.code(one_step("", module=importing)))))
        helper = flows.pid("on")
        begun = time.monotonic()

        executor.close()

        assert time.monotonic() - begun < 3
        eventually(lambda: not is_running(helper), timeout=5)

    def test_comes_to_the_tasks_of_a_runner_that_is_stopped_for_longer_than_its_lease(
        self, flows: Flows
    ) -> None:
        root = flows.code(one_step(SLEEPER))
        with child_with_executor(flows, root, lease=1) as child:
            pids = processes(flows)

            child.send_signal(signal.SIGSTOP)

            eventually(lambda: all_gone(pids), timeout=10)

    def test_for_the_silence_of_a_runner_that_goes_on_is_no_failure_of_the_task(
        self, flows: Flows
    ) -> None:
        root = flows.code(one_step(SLEEPS_ONCE))
        with child_with_executor(flows, root, lease=1) as child:
            task = flows.pid("task")

            child.send_signal(signal.SIGSTOP)
            eventually(lambda: not is_running(task))
            child.send_signal(signal.SIGCONT)

            assert child.stdout is not None
            assert child.stdout.readline() == "succeeded \n"

    def test_of_the_template_is_the_end_of_its_tasks_and_the_next_one_works(
        self, flows: Flows
    ) -> None:
        executor = flows.executor()
        asleep = flows.task(flows.plan(flows.code(one_step(SLEEPER), folder="asleep")))
        executor.start(asleep)
        pids = processes(flows)
        eventually(lambda: not executor.poll(timedelta(milliseconds=10)) and True)

        os.kill(pids[0], signal.SIGKILL)

        (end,) = next_ends(executor)
        assert end.outcome is Outcome.FAILED
        assert end.reason == "its template process was killed by signal 9"
        eventually(lambda: all_gone(pids[:2]), timeout=5)
        (end,) = run_out(executor, flows.task(flows.plan(flows.code(one_step("")))))
        assert end.outcome is Outcome.SUCCEEDED

    def test_of_the_template_while_nothing_runs_is_no_failure(self, flows: Flows) -> None:
        executor = flows.executor()
        root = flows.code(one_step(WHO, module=IMPORTED_BY))
        first = flows.task(flows.plan(root))
        run_out(executor, first)
        template = flows.artifact(first, "who")[1]
        os.kill(template, signal.SIGKILL)
        eventually(lambda: not is_running(template))

        (end,) = run_out(executor, flows.task(flows.plan(root)))

        assert end.outcome is Outcome.SUCCEEDED

    def test_comes_soon_to_a_task_whose_exit_handlers_hang(self, flows: Flows) -> None:
        source = one_step(
            "atexit.register(time.sleep, 60)\nself.who = os.getpid()", module="import atexit"
        )
        task = flows.task(flows.plan(flows.code(source)))

        (end,) = run_out(flows.executor(), task)

        assert end.outcome is Outcome.SUCCEEDED
        assert not is_running(flows.artifact(task, "who"))


class TestFork:
    def test_of_a_warm_template_imports_the_module_once(self, flows: Flows) -> None:
        root = flows.code(one_step(WHO, module=IMPORTED_BY))
        tasks = [flows.task(flows.plan(root)) for _ in range(3)]

        run_out(flows.executor(), *tasks)

        who = [flows.artifact(task, "who") for task in tasks]
        assert {parent for _, parent, _ in who} == {imported_by for _, _, imported_by in who}
        assert len({imported_by for _, _, imported_by in who}) == 1

    @pytest.mark.parametrize(
        "module",
        [
            "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "sys.path.insert(0, os.path.dirname(__file__) + '/fakes')\nimport torch",
            # A lock that is held for ever in each fork.
            "os.register_at_fork(after_in_child=lambda: time.sleep(60))",
        ],
    )
    def test_is_given_up_for_a_fresh_interpreter_where_it_would_break(
        self, flows: Flows, module: str
    ) -> None:
        root = flows.code(one_step(WHO, module=f"{module}\n{IMPORTED_BY}"))
        (root / "fakes").mkdir()
        (root / "fakes" / "torch.py").touch()
        tasks = [flows.task(flows.plan(root)) for _ in range(2)]

        ends = run_out(flows.executor(), *tasks)

        assert [end.outcome for end in ends] == [Outcome.SUCCEEDED] * 2
        for task in tasks:
            pid, _, imported_by = flows.artifact(task, "who")
            assert imported_by == pid

    def test_given_up_keeps_the_promises_of_a_task(self, flows: Flows) -> None:
        module = "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
        root = flows.code(one_step("print('so far')\nos.abort()", module=module))
        task = flows.task(flows.plan(root))

        (end,) = run_out(flows.executor(), task)

        assert end.reason == "its process was killed by SIGABRT"
        assert flows.output(task, "stdout") == "so far\n"

    def test_leaves_what_the_module_started_alone(self, flows: Flows) -> None:
        root = flows.code(
            one_step(
                "self.helped = HELPER.pid", module="HELPER = subprocess.Popen(['sleep', '60'])"
            )
        )
        executor = flows.executor()
        task = flows.task(flows.plan(root))

        run_out(executor, task)
        run_out(executor, flows.task(flows.plan(root)))

        helper = flows.artifact(task, "helped")
        assert is_running(helper)
        executor.close()
        eventually(lambda: not is_running(helper), timeout=5)

    def test_has_a_store_and_no_bus_in_it(self, flows: Flows) -> None:
        root = flows.code(
            one_step(
                "self.loaded = sorted(sys.modules)\n"
                "self.fds = [os.readlink(f.path) for f in os.scandir('/proc/self/fd')]"
            )
        )
        task = flows.task(flows.plan(root))

        run_out(flows.executor(), task)

        loaded = flows.artifact(task, "loaded")
        assert "confluent_kafka" not in loaded
        assert "eventflow.store.local" in loaded
        # Standard streams, its report, the folder that is being listed.
        kinds = sorted(
            name.split(":")[0].rsplit("/", 1)[-1] for name in flows.artifact(task, "fds")
        )
        assert kinds == ["fd", "null", "socket", "stderr", "stdout"]


class TestTemplates:
    def test_are_kept_as_many_as_said_and_the_least_recently_used_goes_first(
        self, flows: Flows
    ) -> None:
        executor = flows.executor(templates=2)
        source = one_step(WHO, module=IMPORTED_BY)
        roots = {name: flows.code(source, folder=name) for name in ("a", "b", "c")}
        templates = []

        for name in ("a", "b", "a", "c"):
            task = flows.task(flows.plan(roots[name]))
            run_out(executor, task)
            templates.append(flows.artifact(task, "who")[1])

        first_a, b, second_a, c = templates
        assert first_a == second_a
        assert [is_running(each) for each in (first_a, b, c)] == [True, False, True]

    def test_that_are_busy_are_not_given_up(self, flows: Flows) -> None:
        executor = flows.executor(templates=1)
        waiting = "while not Path(self.folder, 'go').exists():\n    time.sleep(0.005)"
        busy = flows.plan(flows.code(one_step(waiting), folder="busy"))
        executor.start(flows.task(busy))

        run_out(executor, flows.task(flows.plan(flows.code(one_step("")))))
        (flows.folder / "go").touch()
        (end,) = next_ends(executor)

        assert (end.run_id, end.outcome) == (busy.request.run_id, Outcome.SUCCEEDED)

    def test_take_a_run_with_large_causes_while_they_import(self, flows: Flows) -> None:
        source = one_step(
            "self.size = len(current.trigger.event.payload['text'])",
            module="from eventflow import current\ntime.sleep(0.5)",
        )
        cause = Cause(
            origin=Offset("events", "t1", 0, 7),
            kind=Source.EVENT,
            event_id="e",
            name="landed",
            namespace="shop/*",
            at=datetime.now(UTC),
            payload=b'{"text":"' + b"x" * 500_000 + b'"}',
            content_type="application/json",
        )
        root = flows.code(source)
        tasks = [flows.task(flows.plan(root, causes=(cause,))) for _ in range(3)]

        ends = run_out(flows.executor(), *tasks)

        assert [end.reason for end in ends] == [""] * 3
        assert flows.artifact(tasks[2], "size") == 500_000


def test_two_hundred_tasks_in_a_row_leave_descriptors_and_memory_as_they_were(
    flows: Flows,
) -> None:
    executor = flows.executor()
    root = flows.code(one_step(WHO, module="import numpy\n" + IMPORTED_BY))
    first = flows.task(flows.plan(root))
    run_out(executor, first, *(flows.task(flows.plan(root)) for _ in range(20)))
    mine, template = psutil.Process(), psutil.Process(flows.artifact(first, "who")[1])
    kept_ready = {1, 2, 3}
    eventually(lambda: len(template.children()) in kept_ready)
    gc.collect()  # what other tests of this process have left open
    before = [(descriptors(each), each.memory_info().rss) for each in (mine, template)]

    for _ in range(200):
        (end,) = run_out(executor, flows.task(flows.plan(root)))
        assert end.outcome is Outcome.SUCCEEDED

    eventually(lambda: len(template.children()) in kept_ready)
    after = [(descriptors(each), each.memory_info().rss) for each in (mine, template)]
    assert [fds for fds, _ in after] == [fds for fds, _ in before]
    assert all(now - then < 4 * 2**20 for (_, now), (_, then) in zip(after, before, strict=True))


def descriptors(process: psutil.Process) -> int:
    """How many it has open, but for one to each child."""
    return process.num_fds() - len(process.children())


def next_ends(executor: LocalExecutor) -> Sequence[TaskEnd]:
    return eventually(lambda: executor.poll(timedelta(seconds=1)))


def test_a_temporary_folder_cleaned_in_between_stops_no_task(
    flows: Flows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    executor = flows.executor()
    plan = flows.plan(flows.code(one_step("")))
    run_out(executor, flows.task(plan))

    shutil.rmtree(next(temporary.iterdir()))
    (end,) = run_out(executor, flows.task(plan))

    assert end.outcome is Outcome.SUCCEEDED, end.reason
