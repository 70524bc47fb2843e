"""What every executor promises (`execution/port.py`): isolated tasks, one end for each start."""

from __future__ import annotations

import sys
from datetime import timedelta

import psutil
import pytest

from eventflow.execution.port import Executor
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskEnd
from tests.support.eventually import eventually
from tests.support.flows import HEADER, Flows, diamond, line, one_step, run_out

AT_ONCE = timedelta()
A_WHILE = timedelta(seconds=10)


def only_end(flows: Flows, executor: Executor, source: str) -> TaskEnd:
    """How the first step of that flow ends."""
    (end,) = run_out(executor, flows.task(flows.plan(flows.code(source))))
    return end


class TestSuccess:
    def test_says_where_the_step_went_once_its_artifacts_stand(
        self, flows: Flows, executor: Executor
    ) -> None:
        task = flows.task(flows.plan(flows.code(one_step("self.rows = [1, 2, 3]"))))

        (end,) = run_out(executor, task)

        assert (end.run_id, end.key) == (task.run.request.run_id, task.key)
        assert (end.outcome, end.next_steps, end.reason) == (Outcome.SUCCEEDED, ("end",), "")
        assert flows.artifact(task, "rows") == [1, 2, 3]

    def test_a_task_reads_what_the_one_before_left_and_hands_it_on(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = HEADER + (
            "class F(FlowSpec):\n"
            "    table = 'flights'\n"
            "    folder = Parameter('folder')\n"
            "    @step\n"
            "    def start(self):\n"
            "        self.rows, self.untouched = [1], 'as it was'\n"
            "        self.next(self.more)\n"
            "    @step\n"
            "    def more(self):\n"
            "        self.rows.append(len(self.folder))\n"
            "        self.next(self.end)\n"
            "    @step\n"
            "    def end(self):\n"
            "        self.seen = (self.rows, self.table)\n"
        )
        plan = flows.plan(flows.code(source), line("start", "more", "end"))
        start = flows.task(plan)
        more = flows.task(plan, "more", start.key)
        end = flows.task(plan, "end", more.key)

        for task in (start, more, end):
            run_out(executor, task)

        length = len(str(flows.folder))
        assert flows.artifact(start, "rows") == [1]
        assert flows.artifact(end, "seen") == ([1, length], "flights")
        assert flows.artifact(end, "untouched") == "as it was"
        assert flows.artifact(end, "folder") == str(flows.folder)

    def test_a_join_has_its_inputs_and_starts_with_none_of_their_artifacts(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = HEADER + (
            "class F(FlowSpec):\n"
            "    folder = Parameter('folder')\n"
            "    @step\n"
            "    def start(self):\n"
            "        self.next(self.left, self.right)\n"
            "    @step\n"
            "    def left(self):\n"
            "        self.mine = 'l'\n"
            "        self.next(self.join)\n"
            "    @step\n"
            "    def right(self):\n"
            "        self.mine = 'r'\n"
            "        self.next(self.join)\n"
            "    @step\n"
            "    def join(self, inputs):\n"
            "        self.both = [each.mine for each in inputs] + [inputs.right.mine]\n"
            "        self.is_clean = not hasattr(self, 'mine')\n"
            "        self.next(self.end)\n"
            "    @step\n"
            "    def end(self):\n"
            "        pass\n"
        )
        plan = flows.plan(flows.code(source), diamond())
        start = flows.task(plan)
        left, right = (flows.task(plan, step, start.key) for step in ("left", "right"))
        join = flows.task(plan, "join", left.key, right.key)

        run_out(executor, start)
        run_out(executor, left, right)
        (end,) = run_out(executor, join)

        assert end.outcome is Outcome.SUCCEEDED
        assert flows.artifact(join, "both") == ["l", "r", "r"]
        assert flows.artifact(join, "is_clean") is True
        assert flows.artifact(join, "folder") == str(flows.folder)

    def test_of_one_attempt_that_runs_twice_the_first_result_counts(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step("self.by = os.getpid()\nprint(self.by)")
        task = flows.task(flows.plan(flows.code(source)))
        run_out(executor, task)
        first = flows.artifact(task, "by")

        (end,) = run_out(executor, task)

        assert end.outcome is Outcome.SUCCEEDED
        assert flows.artifact(task, "by") == first
        assert flows.output(task, "stdout") == f"{first}\n"


class TestIsolation:
    def test_every_task_has_a_process_of_its_own_and_shares_nothing_with_others(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            """
            COUNT.append(1)
            self.seen = (os.getpid(), len(COUNT), os.environ.get("LEAK"))
            os.environ["LEAK"] = "yes"
            os.chdir("/")
            """,
            module="COUNT = []",
        )
        root = flows.code(source)
        tasks = [flows.task(flows.plan(root)) for _ in range(4)]

        run_out(executor, *tasks)

        seen = [flows.artifact(task, "seen") for task in tasks]
        assert len({pid for pid, _, _ in seen}) == 4
        assert {(count, leak) for _, count, leak in seen} == {(1, None)}

    def test_tasks_draw_different_random_numbers(self, flows: Flows, executor: Executor) -> None:
        source = one_step(
            "self.drawn = (random.random(), float(numpy.random.random()))",
            module="import numpy, numpy.random\nrandom.seed(7)\nnumpy.random.seed(7)",
        )
        root = flows.code(source)
        tasks = [flows.task(flows.plan(root)) for _ in range(3)]

        run_out(executor, *tasks)

        drawn = [flows.artifact(task, "drawn") for task in tasks]
        assert len({of_python for of_python, _ in drawn}) == 3
        assert len({of_numpy for _, of_numpy in drawn}) == 3

    def test_user_code_is_never_in_the_process_of_the_executor(
        self, flows: Flows, executor: Executor
    ) -> None:
        root = flows.code(one_step(""), file="never_here.py")

        run_out(executor, flows.task(flows.plan(root, line("start", "end", file="never_here.py"))))

        assert "never_here" not in sys.modules
        assert str(root) not in sys.path

    def test_the_flow_is_imported_under_its_own_name_in_its_own_folder(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            "self.seen = (F.__module__, os.getcwd(), sys.path[0], helper.answer)",
            module="import helper",
        )
        root = flows.code(source)
        (root / "helper.py").write_text("answer = 42")
        task = flows.task(flows.plan(root))

        run_out(executor, task)

        assert flows.artifact(task, "seen") == ("flow", str(root), str(root), 42)

    def test_a_class_of_the_flows_file_can_be_an_artifact(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step("self.model = Model()", module="class Model:\n    weights = (1, 2)")
        source = source.replace(
            "    def end(self):\n        pass",
            "    def end(self):\n        self.w = self.model.weights",
        )
        plan = flows.plan(flows.code(source))
        start = flows.task(plan)
        end = flows.task(plan, "end", start.key)

        run_out(executor, start)
        run_out(executor, end)

        assert flows.artifact(end, "w") == (1, 2)

    def test_a_fork_that_the_step_lets_return_is_not_the_attempt(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            """
            mine = os.getpid()
            if os.fork() != 0:
                time.sleep(0.5)
            self.is_mine = os.getpid() == mine
            """
        )
        task = flows.task(flows.plan(flows.code(source)))

        (end,) = run_out(executor, task)

        assert end.outcome is Outcome.SUCCEEDED
        assert flows.artifact(task, "is_mine") is True


class TestFailure:
    def test_has_the_exception_and_its_place_as_reason_and_the_traceback_in_stderr(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step("print('before')\ntrain([])", module=MODULE_THAT_FAILS)
        task = flows.task(flows.plan(flows.code(source)))
        number = 1 + source.split("\n").index("    raise ValueError('no rows\\nat all')")

        (end,) = run_out(executor, task)

        stderr = flows.output(task, "stderr")
        assert end.outcome is Outcome.FAILED
        assert end.reason == f"ValueError: no rows (flow.py:{number})"
        assert stderr.startswith(
            'Traceback (most recent call last):\n  File "' + task.run.code_root
        )
        assert stderr.endswith("ValueError: no rows\nat all\n")
        assert flows.output(task, "stdout") == "before\n"
        assert not flows.has_artifacts(task)

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("sys.exit(3)", "sys.exit(3) was called"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt (flow.py:"),
            ("os._exit(3)", "ended with exit code 3"),
            ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
            ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
            ("os.closerange(3, 100); os._exit(0)", "ended with exit code 0"),
            ("self.lock = threading.Lock()", "Artifact 'lock' cannot be stored"),
            ("raise Unprintable", "Unprintable: (its message cannot be made)"),
            ("return", "ended without calling self.next"),
            ("self.next(self.start)\n", "self.next is called a second time"),
            ("yield 1", "a generator or async"),
        ],
    )
    def test_is_told_with_a_reason(
        self, flows: Flows, executor: Executor, body: str, reason: str
    ) -> None:
        unprintable = "class Unprintable(Exception):\n    def __str__(self):\n        return 1 / 0"

        end = only_end(flows, executor, one_step(body, module=unprintable))

        assert end.outcome is Outcome.FAILED
        assert reason in end.reason
        assert "\n" not in end.reason

    def test_of_a_process_that_died_keeps_what_it_had_printed(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step("print('half way')\nos.kill(os.getpid(), signal.SIGKILL)")
        task = flows.task(flows.plan(flows.code(source)))

        run_out(executor, task)

        assert flows.output(task, "stdout") == "half way\n"
        assert "killed by SIGKILL" in flows.output(task, "stderr")

    def test_in_c_says_in_stderr_where_it_was(self, flows: Flows, executor: Executor) -> None:
        source = one_step("ctypes.string_at(0)", module="import ctypes")
        task = flows.task(flows.plan(flows.code(source)))

        (end,) = run_out(executor, task)

        assert end.reason == "its process was killed by SIGSEGV"
        assert f'File "{task.run.code_root}/flow.py", line' in flows.output(task, "stderr")

    def test_after_the_artifacts_stand_is_none(self, flows: Flows, executor: Executor) -> None:
        source = one_step("atexit.register(os.abort)", module="import atexit")

        end = only_end(flows, executor, source)

        assert end.outcome is Outcome.SUCCEEDED

    @pytest.mark.parametrize(
        ("module", "reason"),
        [
            ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
            ("sys.exit(1)", "sys.exit(1) was called"),
            ("def half(:", "SyntaxError: invalid syntax"),
        ],
    )
    def test_of_the_import_is_the_failure_of_each_task(
        self, flows: Flows, executor: Executor, module: str, reason: str
    ) -> None:
        root = flows.code(one_step("", module=module))
        tasks = [flows.task(flows.plan(root)) for _ in range(2)]

        ends = run_out(executor, *tasks)

        assert [end.outcome for end in ends] == [Outcome.FAILED] * 2
        for end, task in zip(ends, tasks, strict=True):
            assert reason in end.reason
            assert "(flow.py:" in end.reason
            assert "Traceback" in flows.output(task, "stderr")

    def test_of_an_import_that_kills_the_process_is_told_too(
        self, flows: Flows, executor: Executor
    ) -> None:
        end = only_end(flows, executor, one_step("", module="os._exit(9)"))

        assert end.outcome is Outcome.FAILED
        assert "exit code 9" in end.reason

    def test_of_a_missing_flow_or_folder_is_told(self, flows: Flows, executor: Executor) -> None:
        other = flows.plan(flows.code("x = 1"))
        nowhere = flows.plan(flows.home / "nowhere")

        ends = run_out(executor, flows.task(other), flows.task(nowhere))

        assert all(end.outcome is Outcome.FAILED for end in ends)
        reasons = {end.run_id: end.reason for end in ends}
        assert "there is no flow F in this file" in reasons[other.request.run_id]
        assert "nowhere" in reasons[nowhere.request.run_id]


class TestOutput:
    def test_of_the_step_and_of_what_it_starts_is_kept(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            """
            print("from the step, ünïcode")
            subprocess.run(["sh", "-c", "echo from a child; echo oops >&2"], check=True)
            os.write(1, b"raw\\n")
            LOG.warning("logged")
            """,
            module="import logging\nlogging.basicConfig(format='%(message)s')\n"
            "LOG = logging.getLogger('flow')",
        )
        task = flows.task(flows.plan(flows.code(source)))

        run_out(executor, task)

        assert flows.output(task, "stdout") == "from the step, ünïcode\nfrom a child\nraw\n"
        assert flows.output(task, "stderr") == "oops\nlogged\n"

    def test_over_the_limit_keeps_its_beginning_and_its_end(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step("print('first' + 'x' * 20 * 2**20 + 'last')")
        task = flows.task(flows.plan(flows.code(source)))

        run_out(executor, task)

        stdout = flows.output(task, "stdout")
        assert stdout.startswith("firstxxx")
        assert stdout.endswith("xxxlast\n")
        assert f"{10 * 2**20 + 10} bytes are left out here" in stdout
        assert len(stdout) < 10 * 2**20 + 100


class TestPoll:
    def test_gives_ends_in_the_order_in_which_they_came(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            """
            Path(self.folder, current.run_id).write_text(f"{os.getpid()}\\n")
            while current.run_id == "later" and not Path(self.folder, "go").exists():
                time.sleep(0.005)
            """,
            module="from eventflow import current",
        )
        root = flows.code(source)
        for run_id in ("later", "sooner"):
            executor.start(flows.task(flows.plan(root, run_id=run_id)))
        sooner = flows.pid("sooner")
        eventually(lambda: not psutil.pid_exists(sooner))
        (flows.folder / "go").touch()
        eventually(lambda: not psutil.pid_exists(flows.pid("later")))

        ends = [*executor.poll(A_WHILE), *executor.poll(timedelta(milliseconds=200))]

        assert [end.run_id for end in ends] == ["sooner", "later"]

    def test_without_anything_running_comes_back_empty(self, executor: Executor) -> None:
        assert list(executor.poll(AT_ONCE)) == []


MODULE_THAT_FAILS = """
def train(rows):
    raise ValueError('no rows\\nat all')
"""
