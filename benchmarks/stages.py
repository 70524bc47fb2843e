"""`python -m benchmarks.stages`: where the time of an event goes, until its first line of code.

`eventflow up` runs with fault points that keep the time: they lie between any two effects, so the
times between them are those of the effects. For each point: the median time since before the
publish, over events that come slowly, and what it took since the point before. The tables, one a
bus, take the place of the former ones in docs/performance.md.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from benchmarks.document import DOCUMENT, between
from benchmarks.event_to_user_code import FLOW
from benchmarks.machine import load
from benchmarks.place import Place, site
from eventflow import Event
from tests.servers.processes import ServerProcess
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

__all__ = ["main"]

_EVENTS = 60
_WARM_UPS = 5
_PERIOD_S = 0.4
_PATIENCE_S = 60
_PUBLISHED, _REACHED = "published", "first line of user code"
_ALWAYS = 0.9  # of the events pass a point that is on the way of each
_NAMES = {"embedded": "the embedded bus", "kafka": "Kafka, a single broker on loopback"}
_BEGIN = "<!-- stages: written by python -m benchmarks.stages -->"
_END = "<!-- end of the stages -->"


def main() -> None:
    """On both buses."""
    tables = "".join(f"\nOn {_NAMES[each]}:\n\n{_measured(each)}\n" for each in _NAMES)
    tables += f"\nMedians of {_EVENTS} events; load {load():g}.\n\n"
    DOCUMENT.write_text(between(DOCUMENT.read_text(encoding="utf-8"), _BEGIN, _END, tables))
    print(tables)


def _measured(backend: str) -> str:
    with site(backend) as servers, servers.place() as place:
        return _table(_stages(list(_ways(place))))


def _ways(place: Place) -> Iterator[Mapping[str, int]]:
    """Of each event, when it came to each point, by the wall clock in nanoseconds."""
    stamps, trace = place.folder / "stamps", place.folder / "trace"
    stamps.mkdir()
    with place.cluster() as cluster, place.connected():
        traced = _start(cluster, trace)
        eventually(lambda: cluster.flow(FLOW, "deploy"), timeout=_PATIENCE_S)
        published = [_publish(number, stamps) for number in range(_WARM_UPS + _EVENTS)]
        reached = [_reached_at(number, stamps) for number in range(len(published))]
        os.kill(traced.pid, signal.SIGTERM)
        eventually(trace.exists, timeout=_PATIENCE_S)
    points = [line.split() for line in trace.read_text().splitlines()]
    for begin, end in list(zip(published, reached, strict=True))[_WARM_UPS:]:
        passed = [(name, int(at)) for at, name in points if begin <= int(at) <= end]
        yield {_PUBLISHED: begin, **_of_this_event(passed), _REACHED: end}


def _of_this_event(passed: list[tuple[str, int]]) -> dict[str, int]:
    """When each point was passed for this event: the trigger service is the first to do so; what
    the runner did last before the first line was for it, what it did before for another run."""
    trigger = {name: at for name, at in reversed(passed) if name.startswith("trigger.")}
    return {**dict(passed), **trigger}


def _stages(ways: list[Mapping[str, int]]) -> list[tuple[str, float]]:
    """Each point on the way of nearly all, and the median milliseconds until there, in order."""
    taken: dict[str, list[float]] = {}
    for way in ways:
        for name, at in way.items():
            taken.setdefault(name, []).append((at - way[_PUBLISHED]) / 1e6)
    common = {name: each for name, each in taken.items() if len(each) >= _ALWAYS * len(ways)}
    return sorted(((n, statistics.median(each)) for n, each in common.items()), key=lambda s: s[1])


def _table(stages: list[tuple[str, float]]) -> str:
    rows = ["| point | at, ms | took, ms |", "| --- | --: | --: |"]
    rows += [
        f"| {name} | {at:.2f} | {at - before:.2f} |" for (_, before), (name, at) in pairwise(stages)
    ]
    return "\n".join(rows)


def _start(cluster: Cluster, trace: Path) -> ServerProcess:
    command = [sys.executable, "-m", "benchmarks.traced_up", str(trace)]
    process = ServerProcess("traced up", command, cluster.folder, cluster.env)
    cluster.processes.append(process)
    return process


def _publish(number: int, stamps: Path) -> int:
    time.sleep(_PERIOD_S)
    at = time.time_ns()
    payload = {"number": number, "folder": str(stamps)}
    Event("measured", payload, project="default", branch="prod").publish()
    return at


def _reached_at(number: int, stamps: Path) -> int:
    return int(eventually((stamps / str(number)).read_text, timeout=_PATIENCE_S))


if __name__ == "__main__":
    main()
