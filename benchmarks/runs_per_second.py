"""Trivial runs of three steps, each task a process of its own: how many end in a second.

The requests are there before anything is measured: a trigger service alone decides the events
and is killed, then `eventflow up` finds them all. The log itself is the watch: from its first
RunRecord to its last completion, in parts of equal numbers of runs, with the slots of the default
setting (one a core).

The ceiling is the bare work of the same runs, in as many processes side by side as there are
slots: see `bare_runs`; on S3, see `bare_puts`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from benchmarks import bare_runs
from benchmarks.bare_puts import put_runs
from benchmarks.figure import Figure, Goal, Measured, rates
from benchmarks.place import Place, temporary_folder
from eventflow import Event
from eventflow.bus.reading import read_to_end
from eventflow.codec.headers import COMPLETION
from eventflow.context import World
from eventflow.model.log import Record, TopicPartition
from tests.support.eventually import eventually

__all__ = ["measure"]

FLOW = Path(__file__).parent / "flows" / "three.py"
_GOAL = Goal("p50", 100, is_lower_bound=True)
_PARTS = 8
_TASKS = 3
_GETTING_READY_S = 60  # a new broker makes its inner topics first
_PATIENCE_S = 120
_LOOK_S = 0.2
_NO_WAIT = timedelta(milliseconds=1)


def measure(place: Place, *, runs: int) -> Iterator[Figure]:
    """The rate of so many runs, which are one backlog."""
    runs -= runs % _PARTS
    with place.connected() as world:
        _preload(place, world, runs)
        before = _objects(world)
        ours = _executed(place, world, runs)
        left = [size for key, size in _objects(world).items() if key not in before]
        yield _figure(place, ours, runs, _sizes(left, runs))


def _figure(place: Place, ours: Measured, runs: int, sizes: list[int]) -> Figure:
    """Beside bare puts on S3, where no goal was set; else beside bare files."""
    title = ("runs_per_second", place.backend, "runs of three tasks", ours)
    if "s3" in place.backend:
        began = time.monotonic()
        ended = put_runs(place, runs, sizes)
        return Figure(*title, "boto3: as many puts", _parts(began, ended, runs))
    return Figure(*title, "bare forks and durable files", _bare(runs, sizes), _GOAL)


# ── ours ─────────────────────────────────────────────────────────────────────────────────────────


def _preload(place: Place, world: World, runs: int) -> None:
    with place.running("trigger-service") as cluster:
        eventually(lambda: cluster.flow(FLOW, "deploy"), timeout=_GETTING_READY_S)
        for _ in range(runs):
            Event("counted", project="default", branch="prod").publish()
        eventually(lambda: _requests(world) == runs, timeout=_PATIENCE_S)


def _requests(world: World) -> int:
    topics = world.topics
    where = [TopicPartition(topics.run_requests, each) for each in range(topics.run_partitions)]
    return sum(1 for each in where for _ in read_to_end(world.bus, each))


def _executed(place: Place, world: World, runs: int) -> Measured:
    topics = world.topics
    events = [TopicPartition(topics.events, each) for each in range(topics.event_partitions)]
    with place.running("up"):
        completed = _completions(world, events, runs)
    moments = [_first_accept(world), *completed[runs // _PARTS - 1 :: runs // _PARTS]]
    return _rates(moments, runs)


def _completions(world: World, events: list[TopicPartition], runs: int) -> list[float]:
    """When each was appended; looked for now and then only, so as not to be in the way."""
    found: list[float] = []
    deadline = time.monotonic() + _PATIENCE_S
    reader = world.bus.reader({each: world.bus.high_watermark(each) for each in events})
    while len(found) < runs:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {runs} runs ended within {_PATIENCE_S} s")
        time.sleep(_LOOK_S)
        while records := reader.poll(_NO_WAIT).records:
            found += [_at(each) for part in records.values() for each in part if _is_end(each)]
    reader.close()
    return sorted(found)


def _is_end(record: Record) -> bool:
    return ("ce_type", COMPLETION.encode()) in record.headers


def _first_accept(world: World) -> float:
    topics = world.topics
    where = [TopicPartition(topics.runs, each) for each in range(topics.run_partitions)]
    return min(
        _at(record)
        for each in where
        for record in read_to_end(world.bus, each)
        if record.headers == (("ce_type", b"eventflow.run-record"),)
    )


def _at(record: Record) -> float:
    return (record.appended_at - datetime.fromtimestamp(0, UTC)).total_seconds()


def _objects(world: World) -> dict[str, int]:
    return {each.key: each.size_bytes for each in world.store.list("")}


# ── bare ─────────────────────────────────────────────────────────────────────────────────────────


def _sizes(left: list[int], runs: int) -> list[int]:
    """As many files as a run leaves, of the average size."""
    count = round(len(left) / runs)
    return [sum(left) // len(left)] * max(count, _TASKS)


def _bare(runs: int, sizes: list[int]) -> Measured:
    lanes = os.cpu_count() or 1
    with temporary_folder() as folder:
        began = time.monotonic()
        started = [_lane(folder / str(each), runs // lanes, sizes) for each in range(lanes)]
        printed = [process.communicate(timeout=_PATIENCE_S)[0] for process in started]
    ended = sorted(float(line) for text in printed for line in text.split())
    return _parts(began, ended, runs)


def _parts(began: float, ended: list[float], runs: int) -> Measured:
    return _rates([began, *ended[runs // _PARTS - 1 :: runs // _PARTS]], runs)


def _lane(folder: Path, runs: int, sizes: list[int]) -> subprocess.Popen[str]:
    folder.mkdir()
    arguments = [str(folder), str(runs), *map(str, sizes)]
    command = [sys.executable, "-I", "-S", bare_runs.__file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _rates(moments: list[float], runs: int) -> Measured:
    parts = [after - before for before, after in pairwise(moments)]
    return rates(parts, runs // _PARTS)
