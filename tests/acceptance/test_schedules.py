"""A schedule on real processes, killed between a due time and its commit: each due time once."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from eventflow import Flow
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

SETTINGS = {**SHORT_CLOCKS, "EVENTFLOW_PARTITIONS": "2"}
MINUTELY = Path(__file__).parent / "flows" / "minutely.py"
MINUTE = timedelta(minutes=1)


def test_each_minute_starts_one_run_whoever_is_killed_before_its_commit(
    lasting_installation: Installation,
) -> None:
    cluster, history = lasting_installation.cluster, lasting_installation.history
    first = cluster.start("trigger-service")
    cluster.flow(MINUTELY, "--production", "deploy")
    cluster.kill(first)

    for point in ("trigger.appended", "trigger.committing"):
        dying = cluster.start("trigger-service", EVENTFLOW_FAULT=point)
        eventually(lambda: not psutil.pid_exists(dying.pid), 150, f"{point} was not reached")  # noqa: B023
        cluster.kill(dying)
    cluster.start("trigger-service")
    cluster.start("runner")
    eventually(lambda: len(history.completions()) >= 2, 200, "two minutes have no runs")

    requests = history.requests("Minutely")
    assert len({each["run_id"] for each in requests}) == len(requests)
    with lasting_installation.connected():
        runs = [run for run in Flow("default/prod/Minutely").runs() if run.successful]
        due = sorted((run.data.due_at, run.data.skipped) for run in runs)
        names = {run.trigger.event.name for run in runs if run.trigger}
    assert names == {"* * * * * UTC"}
    _assert_whole(due)
    (shown,) = [
        line
        for line in cluster.eventflow("lineage", f"Minutely/{runs[0].id}", "--up").stdout.split(
            "\n"
        )
        if "schedule schedule/0/" in line
    ]
    assert "* * * * * UTC" in shown
    assert "schedule * * * * * UTC" in cluster.eventflow("deployments", "list").stdout


def _assert_whole(due: list[tuple[datetime, int]]) -> None:
    """Every minute has a run, or is counted by the next one."""
    for (former, _), (due_at, skipped) in pairwise(due):
        assert due_at - former == (skipped + 1) * MINUTE
