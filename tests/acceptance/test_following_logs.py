"""`logs --follow` from a process of its own, which knows no more of the runner than its store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = {**SHORT_CLOCKS, "EVENTFLOW_USER": "ann"}
TALK = Path(__file__).parent / "flows" / "talk.py"


class Following:
    """A process that follows, with what it has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self._folder = process, folder

    def said(self, stream: str) -> list[str]:
        return (self._folder / stream).read_text().splitlines()

    def has_said(self, stream: str, line: str) -> None:
        eventually(
            lambda: line in self.said(stream), timeout=60, message=f"{stream} lacks {line!r}"
        )


def triggered(cluster: Cluster, folder: Path) -> str:
    """A run of the deployed flow, once its version is in force."""
    file = folder / "run.id"
    words = ("trigger", "--folder", str(folder), "--run-id-file", str(file))
    eventually(lambda: cluster.flow(TALK, "--production", *words), timeout=60)
    return file.read_text()


@contextmanager
def following(cluster: Cluster, folder: Path, *words: str) -> Iterator[Following]:
    with (
        (folder / "stdout").open("wb") as out,
        (folder / "stderr").open("wb") as err,
        subprocess.Popen(
            [sys.executable, str(TALK), "logs", *words, "--follow"],
            stdout=out,
            stderr=err,
            env={**cluster.env, "PATH": "/usr/bin:/bin"},
        ) as process,
    ):
        try:
            yield Following(process, folder)
        finally:
            process.kill()


def test_a_run_that_is_taken_over_is_followed_to_its_end_and_its_outputs_are_not_mixed(
    lasting_installation: Installation, tmp_path: Path
) -> None:
    cluster = lasting_installation.cluster
    cluster.flow(TALK, "--production", "deploy")
    cluster.start("trigger-service")
    runner = cluster.start("runner")
    run_id = triggered(cluster, tmp_path)
    eventually((tmp_path / "first").exists, timeout=60, message="it has not begun")
    with following(cluster, tmp_path, run_id) as follower:
        follower.has_said("stdout", "[start/0] the first time")
        follower.has_said("stderr", "[start/0] aside")

        cluster.kill(runner)
        cluster.start("runner")
        follower.has_said("stdout", "[start/0] once more")
        (tmp_path / "go").touch()

        assert follower.process.wait(60) == 0
        assert follower.said("stdout") == [
            "[start/0] the first time",
            "[start/0] … and half a line",
            "[start/0] once more",
            "[start/0] … and half a line that ends",
            "[end/0] the end",
        ]
        assert follower.said("stderr") == [
            "[start/0] aside",
            "[start/0] … was lost with its processes: this is what was seen of its output",
            "[start/0] aside",
        ]


def test_of_a_run_by_hand_whose_process_was_killed_the_output_is_shown(
    lasting_installation: Installation, tmp_path: Path
) -> None:
    cluster = lasting_installation.cluster
    run_file = tmp_path / "run.id"
    command = [sys.executable, str(TALK), "run", "--folder", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--run-id-file", str(run_file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**cluster.env, "PATH": "/usr/bin:/bin"},
    ) as process:
        try:
            eventually((tmp_path / "first").exists, timeout=60, message="it has not begun")
            run_id = run_file.read_text()
            with following(cluster, tmp_path, f"{run_id}/start/0") as follower:
                follower.has_said("stdout", "the first time")
        finally:
            process.kill()

    shown = cluster.flow(TALK, "logs", f"{run_id}/start", "--timestamps")
    lines = shown.stdout.splitlines()
    assert [line[len("2026-11-28 03:00:00.000 ") :] for line in lines] == [
        "the first time",
        "… and half a line",
    ]
    assert "… is at work" in shown.stderr
