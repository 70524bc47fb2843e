"""The client on runs that were run: what the engine leaves is what it reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from eventflow import app, context
from eventflow.client.run import Run
from eventflow.settings import Settings
from tests.servers.s3 import S3Endpoint

FLOW = """
from eventflow import FlowSpec, Parameter, current, step


class FanFlow(FlowSpec):
    bad = Parameter("bad", default=-1)

    @step
    def start(self):
        self.numbers = list(range(12))
        self.next(self.work, foreach="numbers")

    @step
    def work(self):
        print("item", self.input)
        if self.input == self.bad:
            raise ValueError("a bad item")
        self.square = self.input ** 2
        self.next(self.check)

    @step
    def check(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(each.square for each in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("total", self.total)


if __name__ == "__main__":
    FanFlow()
"""


@dataclass(frozen=True)
class Author:
    """Somebody with a flow file and a state folder."""

    folder: Path

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "fan.py", *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def run(self, *words: str) -> Run:
        self.call("run", "--run-id-file", "run.id", *words)
        return Run(f"FanFlow/{(self.folder / 'run.id').read_text()}")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def author(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Author]:
    """An author whose runs lie in a folder, or on S3."""
    env = {"EVENTFLOW_HOME": str(tmp_path / "state"), "EVENTFLOW_USER": "ann"}
    if request.param == "s3":
        server: S3Endpoint = request.getfixturevalue("s3_server")
        bucket, prefix = map(request.getfixturevalue, ("s3_bucket", "s3_prefix"))
        env |= {
            "EVENTFLOW_STORE__URL": f"s3://{bucket}/{prefix}",
            "EVENTFLOW_STORE__ENDPOINT_URL": server.endpoint_url,
            "EVENTFLOW_STORE__REGION": server.region,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
        }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "fan.py").write_text(FLOW)
    with context.using(app.connect(Settings.load())) as world:
        yield Author(tmp_path)
    world.close()


def test_a_run_is_read_as_it_was_run(author: Author) -> None:
    run = author.run("--tag", "nightly", "--tag", "fan")

    work = list(run["work"])
    third = work[3]
    assert run.user_tags == {"nightly", "fan"}
    assert {"user:ann", "project:default", "project_branch:user.ann"} < run.system_tags
    assert [task.id for task in work] == [f"0-{index}" for index in range(12)]
    assert [task.index for task in work] == list(range(12))
    assert [parent.pathspec for parent in third.parent_tasks] == [f"{run.pathspec}/start/0"]
    assert [child.pathspec for child in third.child_tasks] == [f"{run.pathspec}/check/0-3"]
    assert list(run["start"].task.child_tasks) == work
    assert [task.id for task in run["join"].task.parent_tasks] == [task.id for task in work]
    assert run.data.total == sum(number**2 for number in range(12))
    assert third.environment_info["user"] == "ann"
    assert third.exception is None


def test_a_failed_task_says_why_and_its_output_is_shown(author: Author) -> None:
    run = author.run("--bad", "10")

    task = run["work"]["0-10"]
    shown = author.call("logs", f"{run.id}/work/0-10")
    dumped = author.call("dump", f"{run.id}/work/0-10")
    assert task.exception is not None
    assert task.exception.reason == "ValueError: a bad item (fan.py:17)"
    assert 'raise ValueError("a bad item")' in task.exception.traceback
    assert shown.stdout == "item 10\n"
    assert shown.stderr == task.exception.traceback
    assert "has not succeeded: ValueError: a bad item (fan.py:17)" in dumped.stdout
