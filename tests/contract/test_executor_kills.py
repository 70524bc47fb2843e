"""What every executor promises (`execution/port.py`): what is killed, or left over, is gone."""

from __future__ import annotations

from datetime import timedelta

from eventflow.execution.port import Executor
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskKey
from tests.support.eventually import eventually
from tests.support.flows import Flows, is_running, line, one_step, run_out

AT_ONCE = timedelta()
A_WHILE = timedelta(seconds=10)


class TestKill:
    def test_ends_the_tasks_of_one_execution_silently_and_no_others(
        self, flows: Flows, executor: Executor
    ) -> None:
        source = one_step(
            """
            Path(self.folder, str(os.getpid())).touch()
            while not Path(self.folder, "go").exists():
                time.sleep(0.005)
            """
        )
        root = flows.code(source)
        doomed, spared = flows.plan(root), flows.plan(root)
        for plan in (doomed, spared):
            executor.start(flows.task(plan))

        def both_run() -> bool:
            executor.poll(AT_ONCE)
            return len(list(flows.folder.iterdir())) == 2

        eventually(both_run)
        executor.kill(doomed.request.run_id, doomed.epoch)
        pids = [int(path.name) for path in flows.folder.iterdir()]
        eventually(lambda: sum(map(is_running, pids)) == 1)
        (flows.folder / "go").touch()

        ends = [*executor.poll(A_WHILE), *executor.poll(timedelta(milliseconds=200))]

        assert [end.run_id for end in ends] == [spared.request.run_id]

    def test_before_the_task_has_begun_ends_it_too(self, flows: Flows, executor: Executor) -> None:
        plan = flows.plan(flows.code(one_step("Path(self.folder, 'ran').touch()")))
        other = flows.plan(flows.code(one_step(""), folder="other"))

        executor.start(flows.task(plan))
        executor.kill(plan.request.run_id, plan.epoch)
        ends = run_out(executor, flows.task(other))

        assert [end.run_id for end in ends] == [other.request.run_id]
        assert not flows.has_artifacts(flows.task(plan))

    def test_keeps_what_the_task_had_printed(self, flows: Flows, executor: Executor) -> None:
        source = one_step(
            "print('so far')\nPath(self.folder, 'on').write_text('1\\n')\ntime.sleep(60)"
        )
        task = flows.task(flows.plan(flows.code(source)))
        executor.start(task)
        flows.said("on")

        executor.kill(task.run.request.run_id, 1)

        assert eventually(lambda: flows.output(task, "stdout")) == "so far\n"

    def test_of_an_end_that_was_not_polled_yet_takes_it_back(
        self, flows: Flows, executor: Executor
    ) -> None:
        first = flows.plan(flows.code(one_step("Path(self.folder, 'ran').write_text('1\\n')")))
        second = flows.plan(flows.code(one_step(""), folder="other"))
        executor.start(flows.task(first))
        flows.said("ran")

        executor.kill(first.request.run_id, 1)
        ends = run_out(executor, flows.task(second))

        assert [end.run_id for end in ends] == [second.request.run_id]

    def test_of_another_epoch_leaves_the_task_alone(self, flows: Flows, executor: Executor) -> None:
        plan = flows.plan(flows.code(one_step("")))

        executor.start(flows.task(plan))
        executor.kill(plan.request.run_id, epoch=2)

        assert [end.key for end in executor.poll(A_WHILE)] == [TaskKey(1, "start")]


class TestDescendants:
    DAEMON = """
        middle = os.fork()
        if middle == 0:
            os.setsid()
            if os.fork() == 0:
                Path(self.folder, "daemon").write_text(f"{os.getpid()}\\n")
                time.sleep(60)
            os._exit(0)
        os.waitpid(middle, 0)
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        Path(self.folder, "child").write_text(f"{child.pid}\\n")
        while not Path(self.folder, "daemon").exists():
            time.sleep(0.005)
    """

    def test_of_a_task_end_with_it_daemons_included(self, flows: Flows, executor: Executor) -> None:
        task = flows.task(flows.plan(flows.code(one_step(self.DAEMON))))

        (end,) = run_out(executor, task)

        pids = [flows.pid("daemon"), flows.pid("child")]
        assert end.outcome is Outcome.SUCCEEDED
        eventually(lambda: not any(map(is_running, pids)), timeout=5)

    def test_end_when_the_task_is_killed(self, flows: Flows, executor: Executor) -> None:
        task = flows.task(
            flows.plan(flows.code(one_step(self.DAEMON + "\n        time.sleep(60)")))
        )
        executor.start(task)
        pids = [flows.pid("daemon"), flows.pid("child")]

        executor.kill(task.run.request.run_id, 1)

        eventually(lambda: not any(map(is_running, pids)), timeout=5)

    def test_of_one_task_end_while_others_run_on(self, flows: Flows, executor: Executor) -> None:
        waiting = """
            helper = subprocess.Popen(["sleep", "60"], start_new_session=True)
            Path(self.folder, "helper").write_text(f"{helper.pid}\\n")
            while not Path(self.folder, "go").exists():
                time.sleep(0.005)
            self.helped = helper.poll() is None
        """
        source = one_step(waiting) + one_step("").replace("class F", "class G")
        root = flows.code(source)
        task = flows.task(flows.plan(root))
        executor.start(task)
        helper = flows.pid("helper")

        run_out(executor, flows.task(flows.plan(root, line("start", "end", flow="G"))))
        (flows.folder / "go").touch()
        executor.poll(A_WHILE)

        assert flows.artifact(task, "helped") is True
        eventually(lambda: not is_running(helper))


def test_close_ends_everything(flows: Flows, executor: Executor) -> None:
    source = one_step("Path(self.folder, 'on').write_text(f'{os.getpid()}\\n')\ntime.sleep(60)")
    executor.start(flows.task(flows.plan(flows.code(source))))
    pid = flows.pid("on")

    executor.close()

    assert not is_running(pid)
