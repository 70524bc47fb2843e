"""A foreach of 10,000 items: it works, in order, and in bounded memory."""

from __future__ import annotations

import re
import sys

import pytest

from eventflow.model.run import RunState
from tests.matrix.odd_flows import flow
from tests.matrix.play import Stage

SOURCE = """
import os
from pathlib import Path

from eventflow import FlowSpec, Parameter, step

class Matrix(FlowSpec):
    folder = Parameter("folder")
    count = Parameter("count", default=10000)

    @step
    def start(self):
        self.numbers = range(self.count)
        self.next(self.each, foreach="numbers")

    @step
    def each(self):
        if self.index in (10, self.count - 1):
            driver = int(Path(self.folder, "driver").read_text())
            status = Path(f"/proc/{driver}/status").read_text()
            print(next(line for line in status.splitlines() if line.startswith("VmRSS")))
        self.double = 2 * self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.right = all(each.double == 2 * index for index, each in enumerate(inputs))
        self.count_of_inputs = len(inputs)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    import sys
    folder = sys.argv[sys.argv.index("--folder") + 1] if "--folder" in sys.argv else None
    if folder:
        Path(folder, "driver").write_text(str(os.getpid()))
    Matrix()
"""

SMALL = flow(
    """
    @step
    def start(self):
        self.numbers = range(8)
        self.next(self.each, foreach="numbers")

    @step
    def each(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
    """
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_ten_thousand_items_are_run_in_order_and_in_bounded_memory(stage: Stage) -> None:
    played = stage.flow(SOURCE, "--max-num-splits", "10000", patience=800)

    before, after = (int(kb) for kb in re.findall(r"VmRSS:\s+(\d+) kB", played.done.stdout))
    data = played.run.data
    assert played.run.state is RunState.SUCCEEDED, played.done.stderr
    assert (data.count_of_inputs, data.right) == (10_000, True)
    assert (after - before) / 1024 < 200


@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_more_items_than_are_allowed_are_refused_before_one_runs(stage: Stage) -> None:
    played = stage.flow(SOURCE, "--count", "8", "--max-num-splits", "7")

    assert played.run.state is RunState.FAILED
    assert played.run.reason.startswith(
        "Step start opens 8 tasks, and at most 7 are allowed: raise --max-num-splits"
    )
    assert played.tasks("each") == {}


@pytest.mark.parametrize("stage", ["local"], indirect=True)
def test_a_resumed_run_has_its_own_limit_and_keeps_the_step_that_came_over_it(stage: Stage) -> None:
    refused = stage.flow(SMALL, "--max-num-splits", "7")

    still = stage.resume(refused, "--max-num-splits", "6")
    through = stage.resume(refused, "--max-num-splits", "8")

    assert "opens 8 tasks, and at most 6 are allowed" in str(still.run.reason)
    assert still.tasks("each") == {}
    assert through.run.state is RunState.SUCCEEDED, through.done.stderr
    assert through.tasks("start")["0"].origin_pathspec is not None
