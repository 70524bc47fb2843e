"""An event published right after `deploy` returned is handled by the new version, always."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from eventflow import Event, deploy
from eventflow.authoring.deploy_context import DeployContext
from tests.acceptance.flows.load import Load
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = SHORT_CLOCKS
FILE = Path(__file__).parent / "flows" / "load.py"
TIMES = 100


def test_an_event_right_after_a_deploy_starts_the_new_version(
    lasting_installation: Installation,
) -> None:
    cluster, history = lasting_installation.cluster, lasting_installation.history
    cluster.start("trigger-service")
    expected = {}

    with lasting_installation.connected() as world:
        context = DeployContext("Load", "tester", "default/prod")
        new, archive = deploy.evaluate(world, Load, FILE, context)
        for number in range(TIMES):
            deployed = deploy.deploy(world, new, archive, echo=timedelta())
            event = Event("landed", {"number": number}, project="default", branch="prod")
            # Every other event goes to all branches: it is forwarded by the version in force.
            if number % 2:
                event = Event("landed", {"number": number}, project="default")
            expected[str(event.publish().offset)] = deployed.version

    eventually(lambda: len(history.requests("Load")) >= TIMES, timeout=60)
    started = {
        _place(cause): request["version"]
        for request in history.requests("Load")
        for cause in request["causes"]
    }
    assert started == expected
    assert list(expected.values()) == list(range(1, TIMES + 1))
    history.check_started_once("Load", list(expected))


def _place(cause: dict[str, dict[str, object]]) -> str:
    origin = cause["origin"]
    return f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
