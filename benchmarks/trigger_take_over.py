"""From SIGKILL of a trigger service to the next decision in the partition that it had.

Two services have a partition each. One is killed; an event is published to either partition, and
the later of the two decisions is that of the successor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.place import Place
from benchmarks.take_over import (
    GETTING_READY_S,
    PATIENCE_S,
    SETTLED_S,
    clocks_on,
    figure,
    installed,
)
from eventflow import Event
from eventflow.bus.port import Reader
from eventflow.context import World
from eventflow.model.log import TopicPartition, partition_of
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

__all__ = ["measure"]

_FLOW = Path(__file__).parent / "flows" / "three.py"
_POLL = timedelta(milliseconds=20)


def measure(place: Place, *, kills: int) -> Iterator[Figure]:
    """So many kills, with the default session, and where it is a setting with a short one."""
    for clocks in clocks_on(place):
        seconds = list(_killed(installed(place, clocks, "triggers"), kills))
        yield figure(place, "trigger service", seconds, ("session of", clocks.session))


def _killed(place: Place, kills: int) -> Iterator[float]:
    with place.cluster() as cluster, place.connected() as world:
        cluster.start("trigger-service")
        branches = [_branch_in(partition) for partition in range(world.topics.event_partitions)]
        for branch in branches:
            deploy = partial(cluster.flow, _FLOW, "--branch", branch, "deploy")
            eventually(deploy, timeout=GETTING_READY_S)
        for _ in range(kills):
            cluster.start("trigger-service")
            time.sleep(SETTLED_S)
            _decided(world, branches)
            yield _kill_one(world, cluster, branches)


def _kill_one(world: World, cluster: Cluster, branches: list[str]) -> float:
    """Kills the older of the two."""
    at = time.monotonic()
    cluster.kill(cluster.processes[0])
    _decided(world, branches)
    return time.monotonic() - at


def _decided(world: World, branches: list[str]) -> None:
    """Publishes an event to each branch; returns when all of them are decided."""
    where = [
        TopicPartition(world.topics.decisions, each)
        for each in range(world.topics.event_partitions)
    ]
    with closing(world.bus.reader({each: world.bus.high_watermark(each) for each in where})) as new:
        for branch in branches:
            Event("counted", project="default", branch=f"test.{branch}").publish()
        _wait_for(new, set(where))


def _wait_for(decisions: Reader, where: set[TopicPartition]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while where:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was decided in {where} within {PATIENCE_S} s")
        where -= decisions.poll(_POLL).records.keys()


def _branch_in(partition: int) -> str:
    """A branch whose namespace is in that partition of two."""
    for number in count():
        if partition_of(f"default/test.b{number}".encode(), 2) == partition:
            return f"b{number}"
    raise AssertionError
