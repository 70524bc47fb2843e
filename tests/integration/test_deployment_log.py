"""The versions of deployments, as a service finds them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.deployment_log import DeploymentLog
from eventflow.bus.schema_topic import SchemaLookup
from eventflow.model.log import NewRecord
from tests.contract.buses import Backend
from tests.support.machines import on
from tests.support.trigger_rig import TriggerRig

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "p/prod"


@pytest.fixture
def rig(tmp_path: Path, topic_prefix: str) -> Iterator[TriggerRig]:
    with closing(TriggerRig(Backend("sqlite", str(tmp_path)), topic_prefix, tmp_path)) as rig:
        yield rig


@pytest.fixture
def log(rig: TriggerRig) -> DeploymentLog:
    return DeploymentLog(rig.bus, SchemaLookup(rig.bus, rig.codec, rig.topics), rig.topics)


def test_a_version_is_found_as_soon_as_its_deploy_has_committed(
    rig: TriggerRig, log: DeploymentLog
) -> None:
    assert log.find(HOME, "Train", 1) is None

    rig.deploy("Train", on("data"))

    found = log.find(HOME, "Train", 1)
    assert found is not None
    assert (found.key, found.trigger) == ((HOME, "Train", 1), on("data"))


def test_every_version_stays_findable(rig: TriggerRig, log: DeploymentLog) -> None:
    rig.deploy("Train", on("data"))
    rig.deploy("Train", on("other"), version=2)
    rig.deploy("Train", on("data"), "p/test.a")

    found = [log.find(*key) for key in ((HOME, "Train", 1), (HOME, "Train", 2))]

    assert [each.trigger for each in found if each] == [on("data"), on("other")]
    assert log.find("p/test.a", "Train", 2) is None


def test_what_was_removed_or_cannot_be_read_is_not_found(
    rig: TriggerRig, log: DeploymentLog
) -> None:
    for flow in ("Removed", "Spoilt"):
        rig.deploy(flow, on("data"))
    rig.bus.publish(
        [
            NewRecord(rig.topics.deployments, b"p/prod/Removed/1", None),
            NewRecord(rig.topics.deployments, b"p/prod/Spoilt/1", b"spoilt"),
        ]
    )

    assert log.find(HOME, "Removed", 1) is None
    assert log.find(HOME, "Spoilt", 1) is None
