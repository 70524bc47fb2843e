"""A flow is deployed anew, deleted, and deployed again while the partition that its events come
from is not decided yet: each event is decided by the version in force where it stands.

Events for all branches stand in another partition than the namespace of the flow. Their forwards
get there behind every mark of these deploys, and are decided by the version that they name.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from eventflow import Event, deploy
from eventflow.authoring.deploy_context import DeployContext
from eventflow.model.log import partition_of
from eventflow.model.namespace import Namespace
from tests.acceptance.flows.load import Load
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SETTINGS = SHORT_CLOCKS
FILE = Path(__file__).parent / "flows" / "load.py"
HOME = Namespace.parse("default/prod")
BETWEEN_MARKS = 10


def test_an_event_is_decided_by_the_version_in_force_at_its_offset_however_late(
    lasting_installation: Installation,
) -> None:
    cluster, history = lasting_installation.cluster, lasting_installation.history

    expected = _events_among_deploys(lasting_installation)
    with lasting_installation.running():
        # One trigger service dies in the middle of what is behind, another goes on.
        cluster.start("trigger-service", EVENTFLOW_FAULT="trigger.committed")
        cluster.start("trigger-service")
        # The last event of each partition is one that starts a run.
        eventually(
            lambda: len(history.requests("Load")) >= len(expected),
            timeout=120,
            message="not every run is requested",
        )

    started = {
        "{topic}/{partition}/{offset}".format(**cause["origin"]): request["version"]
        for request in history.requests("Load")
        for cause in history.causes(request)
    }
    assert started == expected
    history.check_started_once("Load", list(expected))
    history.check_order()
    history.check_nothing_given_up()


def _events_among_deploys(installation: Installation) -> dict[str, int]:
    """Offset → version, of the events that a version has to decide; no service runs yet."""
    with installation.connected() as world:
        count = world.topics.event_partitions
        assert partition_of(str(HOME).encode(), count) != partition_of(b"default/*", count)
        new, archive = deploy.evaluate(
            world, Load, FILE, DeployContext("Load", "tester", str(HOME))
        )
        offsets: dict[str, int] = {}
        _publish()
        for version in (1, 2):
            assert deploy.deploy(world, new, archive, echo=timedelta()).version == version
            offsets |= dict.fromkeys(_publish(), version)
        deploy.delete(world, HOME, "Load", echo=timedelta())
        _publish()
        deploy.deploy(world, new, archive, echo=timedelta())
        offsets |= dict.fromkeys(_publish(), 3)
    return offsets


def _publish() -> list[str]:
    """The offsets of some events, every other one of which belongs to the home namespace itself
    and is not forwarded."""
    events = [
        Event(
            "landed", {"number": 1}, project="default", branch=HOME.branch if number % 2 else None
        )
        for number in range(BETWEEN_MARKS)
    ]
    return [str(event.publish().offset) for event in events]
