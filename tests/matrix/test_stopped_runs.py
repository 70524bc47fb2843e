"""A run that is stopped in the middle of a foreach: what is left of it, and that it can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow
from tests.matrix.play import Played, Stage
from tests.support.eventually import eventually
from tests.support.flows import is_running

SOURCE = flow(
    """
    def note(self, what):
        with Path(self.folder, what).open("a") as notes:
            notes.write(f"{current.step_name}/{current.task_id}\\n")
    """,
    """
    @step
    def start(self):
        self.numbers = {0, 1, 2, 3}
        self.next(self.each, foreach="numbers")
    """,
    """
    @step
    def each(self):
        if self.input % 2 and not Path(self.folder, "mended").exists():
            Path(self.folder, f"pid-{self.input}").write_text(f"{os.getpid()}\\n")
            time.sleep(600)
        self.note("ran")
        self.square = self.input * self.input
        self.next(self.join)
    """,
    """
    @step
    def join(self, inputs):
        self.squares = [each.square for each in inputs]
        self.next(self.end)
    """,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the flow is, and what its steps leave."""
    (tmp_path / "flow.py").write_text(SOURCE)
    return tmp_path


def stopped(stage: Stage, folder: Path, number: signal.Signals) -> Played:
    """A run that got the signal when two items were done and the other two at work."""
    words = ["run", "--folder", str(folder), "--run-id-file", str(folder / "run-id")]
    with subprocess.Popen(
        [sys.executable, str(folder / "flow.py"), *words],
        env={**os.environ, **stage.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            eventually(lambda: pids(folder), timeout=60, message="the items are not at work")
            played = Played(
                folder / "flow.py",
                (folder / "run-id").read_text(),
                folder,
                subprocess.CompletedProcess([], 0, "", ""),
            )
            eventually(
                lambda: sum(task.successful for task in played.tasks("each").values()) == 2,
                timeout=60,
                message="the other items are not done",
            )
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    return Played(folder / "flow.py", played.run_id, folder, done)


def pids(folder: Path) -> list[int]:
    """The processes of the items that wait, once there are two."""
    texts = [path.read_text() for path in folder.glob("pid-*")]
    found = [int(text) for text in texts if text.endswith("\n")]
    return found if len(found) == 2 else []


@pytest.mark.parametrize("stage", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_no_process_is_left_of_a_stopped_run_and_it_goes_on_with_what_was_missing(
    stage: Stage, folder: Path, number: signal.Signals, code: int
) -> None:
    played = stopped(stage, folder, number)
    at_work = pids(folder)
    (folder / "mended").touch()

    resumed = stage.resume(played)

    assert played.done.returncode == code
    eventually(lambda: not any(map(is_running, at_work)), message="an item is still at work")
    if number is not signal.SIGKILL:
        assert played.run.state is RunState.CANCELLED
        assert number.name in played.run.reason
    assert resumed.run.state is RunState.SUCCEEDED, resumed.done.stderr
    assert resumed.run.data.squares == [0, 1, 4, 9]
    assert Counter(resumed.ran) == {f"each/0-{index}": 1 for index in range(4)}
