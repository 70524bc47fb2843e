"""A service is killed at every named place between two effects: nothing is lost or doubled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from eventflow import Event
from eventflow.execution.driver import FAULT_POINTS as DRIVER
from eventflow.services.runner import FAULT_POINTS as RUNNER
from eventflow.services.trigger import FAULT_POINTS as TRIGGER
from tests.acceptance.installation import SHORT_CLOCKS, Installation
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SETTINGS = {
    **SHORT_CLOCKS,
    "EVENTFLOW_PARTITIONS": "2",
    "EVENTFLOW_RUNNER__MAX_TAKE_OVERS": "100",  # one run may be there each time a runner dies
}
FLOWS = Path(__file__).parent / "flows"
# Reached only when a lease lapses, or a partition moves while its run goes on.
RARE = {"runner.said-gone", "runner.reported"}


def test_a_service_killed_at_any_fault_point_loses_and_doubles_nothing(
    lasting_installation: Installation,
) -> None:
    cluster, history = lasting_installation.cluster, lasting_installation.history
    for flow in ("load.py", "follow.py"):
        cluster.flow(FLOWS / flow, "--production", "deploy")
    offsets: list[str] = []

    with lasting_installation.connected():
        publish = _publisher(offsets)
        runner = cluster.start("runner")
        for point in TRIGGER:
            _die_at(lasting_installation, "trigger-service", point, publish)
        cluster.kill(runner)
        cluster.start("trigger-service")
        for point in (*(each for each in RUNNER if each not in RARE), *DRIVER):
            _die_at(lasting_installation, "runner", point, publish)
        cluster.start("runner")
    eventually(
        lambda: len(history.completions()) == 2 * len(offsets),
        timeout=120,
        message="not every run has ended",
    )

    history.check_started_once("Load", offsets)
    assert len(history.requests("Follow")) == len(offsets)
    history.check_ends()
    history.check_order()
    history.check_nothing_given_up()
    assert set(history.ended().values()) == {"succeeded"}


def _publisher(offsets: list[str]) -> Callable[[str], None]:
    numbers: Iterator[int] = itertools.count()

    def publish(filler: str) -> None:
        event = Event("landed", {"number": next(numbers), "filler": filler}, project="default")
        offsets.append(str(event.publish().offset))

    return publish


def _die_at(
    installation: Installation, service: str, point: str, publish: Callable[[str], None]
) -> None:
    """Start a service that kills itself at a place, and give it work until it has."""
    process = installation.cluster.start(service, EVENTFLOW_FAULT=point)
    # A payload that does not fit into a request goes to the store first.
    publish("x" * 300_000 if point == "trigger.stored" else "")
    eventually(
        lambda: not psutil.pid_exists(process.pid),
        timeout=60,
        message=f"{service} was not killed at {point}",
    )
    installation.cluster.kill(process)
