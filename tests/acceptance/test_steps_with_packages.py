"""A deployed flow whose steps have packages of their own, decided when it was deployed."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from eventflow import Event, Flow, Run
from eventflow.errors import NotFound
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.eventually import eventually
from tests.support.package_index import need_package_index

pytestmark = [pytest.mark.packages, pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = SHORT_CLOCKS
FILE = Path(__file__).parent / "flows" / "packed.py"


def test_a_runner_runs_them_without_a_package_index_and_they_publish(
    lasting_installation: Installation,
) -> None:
    need_package_index()
    cluster = lasting_installation.cluster
    cluster.start("trigger-service")
    cluster.flow(FILE, "--production", "deploy")
    cluster.flow(FILE, "run")  # so that uv has the files
    cluster.start("runner", UV_OFFLINE="1")

    with lasting_installation.connected() as world:
        Event("weighed", {}, project="default", branch="prod").publish()
        (run,) = eventually(_latest, timeout=120, message="the flow has not run")
        data = run.data
        found = data.packed, data.own, data.offset
        locks = [each.key for each in world.store.list("projects/default/environments/")]

        topic = world.topics.events

    assert found[:2] == ("1.15.0", version("six"))
    assert found[2].startswith(topic)
    assert len(locks) == 1


def _latest() -> list[Run]:
    with suppress(NotFound):
        run = Flow("default/prod/Packed").latest_successful_run
        return [run] if run is not None else []
    return []
