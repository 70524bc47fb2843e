"""Each event starts each matching deployment once, each run has one end, whoever is killed.

What is expected comes from acknowledged publishes; what happened is read by the history checker,
not through eventflow.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from eventflow import Event
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.servers.processes import ServerProcess
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = SHORT_CLOCKS
FLOWS = Path(__file__).parent / "flows"
EVENTS = 100
KILL_AFTER = {25, 50, 75}


def test_services_killed_and_restarted_start_and_end_every_run_once(
    lasting_installation: Installation,
) -> None:
    cluster, history = lasting_installation.cluster, lasting_installation.history
    for flow in ("load.py", "follow.py"):
        cluster.flow(FLOWS / flow, "--production", "deploy")
    services = [cluster.start(each) for each in ("trigger-service", "runner") * 2]

    offsets = _publish_and_kill(lasting_installation, services)
    eventually(
        lambda: len(history.completions()) == 2 * EVENTS,
        timeout=180,
        message="not every run has ended",
    )

    history.check_started_once("Load", offsets)
    assert len(history.requests("Follow")) == EVENTS
    history.check_ends()
    history.check_order()
    history.check_nothing_given_up()
    assert set(history.ended().values()) == {"succeeded"}


def _publish_and_kill(installation: Installation, services: list[ServerProcess]) -> list[str]:
    """The offsets of the acknowledged events."""
    chance = random.Random(20261122)
    offsets = []
    with installation.connected():
        for number in range(EVENTS):
            published = Event("landed", {"number": number}, project="default").publish()
            offsets.append(str(published.offset))
            if number in KILL_AFTER:
                _kill_one_of_each(installation.cluster, services, chance)
    return offsets


def _kill_one_of_each(
    cluster: Cluster, services: list[ServerProcess], chance: random.Random
) -> None:
    """SIGKILL one trigger service and one runner, and start others in their place."""
    for first, kind in enumerate(("trigger-service", "runner")):
        index = chance.choice([first, first + 2])
        cluster.kill(services[index])
        services[index] = cluster.start(kind)
