"""What a decision costs as deployments grow: 10, 1,000 and 100,000 in force in one partition.

Each event is heard by one deployment and starts a run. Each number of deployments has a process
of its own, so that none pays for the heap of another; they decide in turns. The ceiling is the
smallest: a cost that does not grow has the ratio 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context

from benchmarks.figure import Figure, Goal, Measured, times_ms
from eventflow.calendars import CronCalendar
from eventflow.model.deployment import CodePackage, Deployment, ParameterSpec, ParameterType
from eventflow.model.event import EventRecord
from eventflow.model.graph import FlowGraph
from eventflow.model.matching import Entry, handle
from eventflow.model.offset import Offset
from eventflow.model.partition_state import Limits, PartitionState, Place
from eventflow.model.payload import encode_payload
from eventflow.model.state import ActiveVersion
from eventflow.model.trigger import Source, Subscription, Trigger

__all__ = ["measure"]

_SIZES = (10, 1_000, 100_000)
_PART = 1_000
# Memory that is far apart is slower to reach: a look-up in a large table misses the caches.
_GOAL = Goal("ratio", 2)
_NAMESPACE = "shop/prod"
_NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)
_STRIDE = 7_919  # a prime: events come to the deployments in no order


def measure(*, parts: int) -> Iterator[Figure]:
    """Over so many parts of 1,000 events; the first of each number is a warm-up."""
    taken: dict[int, list[float]] = {size: [] for size in _SIZES}
    with ExitStack() as processes:
        pools = {size: processes.enter_context(_process()) for size in _SIZES}
        for part in range(parts + 1):
            for size, pool in pools.items():
                taken[size].append(pool.submit(_decide, size, part * _PART).result())
    measured = {size: times_ms(each / _PART for each in taken[size][1:]) for size in _SIZES}
    for size in _SIZES[1:]:
        yield _figure(size, measured)


def _figure(size: int, measured: dict[int, Measured]) -> Figure:
    name = f"a decision that starts a run, {size:,} deployments"
    peer = f"the same with {_SIZES[0]}"
    ceiling = measured[_SIZES[0]]
    return Figure("many_deployments", "none", name, measured[size], peer, ceiling, _GOAL)


def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def _decide(size: int, first: int) -> float:
    """Seconds of a part, in the process of that size."""
    state, known = _partition(size)
    calendar = CronCalendar()
    entries = [_entry(number, size) for number in range(first, first + _PART)]
    at = time.perf_counter()
    for entry in entries:
        if not handle(state, entry, _NOW, lambda *key: known.get(key), calendar).requests:
            raise RuntimeError(f"{entry.origin} started nothing")
    return time.perf_counter() - at


@cache
def _partition(size: int) -> tuple[PartitionState, dict[tuple[str, str, int], Deployment]]:
    """A partition in which so many versions are in force, and all of them by key."""
    state = PartitionState(Place(0, 1), Limits())
    deployments = [_deployment(number) for number in range(size)]
    for each in deployments:
        active = ActiveVersion(_NAMESPACE, each.namespace, each.flow, each.version, each.version)
        state.subscriptions.put(active, each)
    return state, {each.key: each for each in deployments}


def _deployment(number: int) -> Deployment:
    flow = f"Flow{number}"
    return Deployment(
        namespace=_NAMESPACE,
        flow=flow,
        version=1,
        graph=FlowGraph(flow, "flow.py", "", ()),
        parameters=(ParameterSpec("rows", ParameterType.INT, None, is_required=True),),
        trigger=Trigger(Source.EVENT, (Subscription(f"event_{number}"),)),
        code=CodePackage(f"{number:064d}", 0, "flow.py"),
        deployed_at=_NOW,
        deployed_by="bench",
    )


def _entry(number: int, size: int) -> Entry:
    event = EventRecord(
        id=f"{number:020d}",
        id_set=True,
        name=f"event_{number * _STRIDE % size}",
        namespace=_NAMESPACE,
        payload=encode_payload({"rows": number}),
        content_type="application/json",
        published_at=_NOW,
        source="bench",
    )
    return Entry(Offset("bench.events", "T", 0, number), event, _NOW)
