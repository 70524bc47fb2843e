"""A planted fault ends or stops the process at its place, at the time that it names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

REACH = """
from eventflow.effects import planted

faults = planted({text!r})
for number in range(1, 4):
    for name in ("here", "there"):
        print(f"{{name}} {{number}}", flush=True)
        faults.reach(name)
print("end", flush=True)
"""


def _started(text: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", REACH.format(text=text)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("text", "last"), [("there", "there 1"), ("here:3", "here 3")])
def test_a_process_is_killed_at_its_place_the_nth_time(text: str, last: str) -> None:
    process = _started(text)

    said, _ = process.communicate(timeout=20)

    assert process.returncode == -signal.SIGKILL
    assert said.splitlines()[-1] == last


def test_a_process_is_stopped_at_its_place_and_goes_on_when_it_is_continued() -> None:
    process = _started("there:2:stop")
    with process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        stopped_by = os.WSTOPSIG(status) if os.WIFSTOPPED(status) else 0

        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=20)

    assert stopped_by == signal.SIGSTOP
    assert process.returncode == 0
    assert said.splitlines()[-1] == "end"


def test_a_fault_of_another_place_does_nothing() -> None:
    process = _started("elsewhere")

    said, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert said.splitlines()[-1] == "end"
