"""A backlog does not grow the heap: partitions are read no further than they are decided."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import psutil
import pytest

from eventflow.context import World
from eventflow.model.event import EventRecord
from tests.acceptance.installation import Installation
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EVENTS = 300_000
BATCH = 5_000
MOST_GROWTH_BYTES = 200 * 2**20


def test_a_backlog_of_events_that_match_nothing_grows_memory_by_200_mb_at_most(
    lasting_installation: Installation,
) -> None:
    cluster = lasting_installation.cluster
    with lasting_installation.connected() as world:
        for first in range(0, EVENTS, BATCH):
            _publish(world, range(first, first + BATCH))

    service = cluster.start("trigger-service")
    process = psutil.Process(service.pid)
    metrics = eventually(lambda: _metrics_url(cluster.folder), message="it serves no metrics") or ""
    rest, peak = process.memory_info().rss, 0

    def is_through() -> bool:
        nonlocal peak
        peak = max(peak, process.memory_info().rss)
        return _events(metrics) >= EVENTS

    eventually(is_through, timeout=240, message="the backlog is not decided")
    assert peak - rest <= MOST_GROWTH_BYTES


def _publish(world: World, numbers: range) -> None:
    events = (
        EventRecord(
            id=f"e{number}",
            id_set=False,
            name="unheard",
            namespace=f"default/test.branch{number % 16}",
            payload=b'{"number": 1, "text": "%s"}' % (b"x" * 200),
            content_type="application/json",
            published_at=world.effects.clock.now(),
            source="test",
        )
        for number in numbers
    )
    world.bus.publish([world.codec.new_record(event) for event in events])


def _metrics_url(folder: Path) -> str | None:
    logs = (path.read_text(errors="replace") for path in folder.glob("*/server.log"))
    found = re.search(r"metrics: (http://\S+)", "\n".join(logs))
    return found and found.group(1)


def _events(url: str) -> float:
    with urllib.request.urlopen(url) as answer:
        found = re.search(r'eventflow_events_total{kind="event"} (\S+)', answer.read().decode())
    return float(found.group(1)) if found else 0.0
