"""`S3(run=…)`: the data of a run, from its steps and from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventflow import S3, Flow, FlowSpec, app, context
from eventflow.client.run import Run
from eventflow.errors import InvalidS3Address, InvalidSettings
from eventflow.settings import Settings, StoreSettings
from eventflow.store.layout import RunPlace
from tests.docs.documents import blocks
from tests.support.s3_tool import root, store

__all__ = ["root", "store"]

pytestmark = pytest.mark.s3


class PlainFlow(FlowSpec):
    pass


def test_the_data_of_a_run_lies_where_the_store_has_no_key(root: str, store: StoreSettings) -> None:
    run = Run.at(RunPlace("shop/prod", "TrainFlow", "r1"))

    with S3(run=run) as s3:
        url = s3.put("a", "1")
    with S3(run=run, prefix="elsewhere") as s3:
        elsewhere = s3.put("a", "1")

    bucket = root.split("/")[2]
    assert url == f"{store.url}/data/shop/prod/TrainFlow/r1/a"
    assert elsewhere == f"s3://{bucket}/elsewhere/data/shop/prod/TrainFlow/r1/a"


def test_a_flow_outside_of_a_task_has_no_run(root: str) -> None:
    with pytest.raises(InvalidS3Address, match=r"within its steps.*latest_run"):
        S3(run=PlainFlow.__new__(PlainFlow))
    with pytest.raises(InvalidS3Address, match="give self within a step"):
        S3(run="TrainFlow/r1")  # type: ignore[arg-type]


def test_a_store_in_a_folder_has_no_bucket_for_runs(tmp_path: Path) -> None:
    run = Run.at(RunPlace("shop/prod", "TrainFlow", "r1"))
    world = app.connect(Settings(home=tmp_path, store=StoreSettings(url=None)))

    refused = pytest.raises(InvalidSettings, match=r"give s3root=.*EVENTFLOW_STORE__URL=s3://")
    with context.using(world), refused:
        S3(run=run)


def test_the_guide_is_right_about_the_data_of_a_run(
    tmp_path: Path, root: str, store: StoreSettings
) -> None:
    flow, client = (
        each.text
        for each in blocks("docs/guide.md")
        if each.language == "python" and "S3(run=" in each.text
    )
    file = tmp_path / "sums.py"
    file.write_text(flow, encoding="utf-8")
    env = {
        **os.environ,
        "EVENTFLOW_HOME": str(tmp_path / "home"),
        "EVENTFLOW_USER": "ada",
        "EVENTFLOW_STORE__URL": str(store.url),
        "EVENTFLOW_STORE__ENDPOINT_URL": str(store.endpoint_url),
        "EVENTFLOW_STORE__REGION": str(store.region),
    }

    for program in ([str(file), "run"], ["-c", client]):
        done = subprocess.run(
            [sys.executable, "-W", "error", *program],
            env=env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run = Flow("SumsFlow").latest_run
    assert run is not None
    data = run.data
    assert data.numbers == [1, 2, 3]
    assert data.total == sum(range(100))
