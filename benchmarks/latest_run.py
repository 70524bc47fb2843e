"""What asking for a run costs at 100,000 runs of one flow in a local store.

Laid down is what these questions look at: the entries of each run, by time and among the successful
ones, of one in 10,000 that under a tag, and `run.json` of those and of the last. So laying takes
seconds, and an answer that looked at every run would find most of them missing. The ceiling is the
same reading by bare calls of the system.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.place import temporary_folder
from eventflow import Flow, app, context
from eventflow.context import World
from eventflow.model.run import RunRequest
from eventflow.settings import Settings
from eventflow.store.layout import (
    RunPlace,
    flow_index_prefix,
    index_key,
    tagged_key,
    tagged_prefix,
)
from eventflow.store.runs import mark_successful, place_of
from tests.support.stored import AT, History

__all__ = ["measure"]

_RUNS = 100_000
_APART = timedelta(seconds=7)  # a week of runs
_TAGGED_EVERY = 10_000
_TAG = "champion"
_GOAL = Goal("p50", 10)
_NAMESPACE, _FLOW = "shop/prod", "Train"


def measure(*, questions: int) -> Iterator[Figure]:
    """So many questions of each kind."""
    with temporary_folder() as folder:
        past = _laid(folder, _RUNS)
        for name, question in _QUESTIONS.items():
            asked, bare = question
            with context.using(past.world):
                value = times_ms(_timed(asked, past, questions))
            ceiling = times_ms(_timed(bare, past, questions))
            title, peer = f"{name}, {_RUNS:,} runs", "bare listing and reading"
            yield Figure("latest_run", "local store", title, value, peer, ceiling, _GOAL)


@dataclass(frozen=True, slots=True)
class _Past:
    """A history: its world, the folder of its store, and the run that was requested last."""

    world: World
    store: Path
    last: RunRequest

    @property
    def tagged(self) -> int:
        """How many runs have the tag."""
        return _RUNS // _TAGGED_EVERY


def _timed(ask: Callable[[_Past], None], past: _Past, questions: int) -> list[float]:
    taken = []
    for _ in range(questions):
        at = time.perf_counter()
        ask(past)
        taken.append(time.perf_counter() - at)
    return taken


def _ask_latest(past: _Past) -> None:
    run = Flow(f"{_NAMESPACE}/{_FLOW}").latest_run
    _check(run is not None and run.id == past.last.run_id, "another run is the latest")


def _ask_successful(past: _Past) -> None:
    run = Flow(f"{_NAMESPACE}/{_FLOW}").latest_successful_run
    _check(run is not None and run.id == past.last.run_id, "another run is the latest")


def _ask_tagged(past: _Past) -> None:
    found = list(Flow(f"{_NAMESPACE}/{_FLOW}").runs(_TAG))
    _check(len(found) == past.tagged, "others have the tag")


def _bare_latest(past: _Past) -> None:
    _first(past.store / flow_index_prefix(_NAMESPACE, _FLOW))
    (past.store / place_of(past.last).run).read_bytes()


def _bare_tagged(past: _Past) -> None:
    folder = past.store / tagged_prefix(_NAMESPACE, _FLOW, _TAG)
    names = [file for _, _, files in os.walk(folder) for file in files]
    for _ in names:
        (past.store / place_of(past.last).run).read_bytes()


def _first(path: Path) -> Path:
    """The first file in order, some folders down."""
    while path.is_dir():
        path = min(path.iterdir())
    return path


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise RuntimeError(what)


_QUESTIONS = {
    "latest_run": (_ask_latest, _bare_latest),
    "latest_successful_run": (_ask_successful, _bare_latest),
    "the 10 runs with a tag": (_ask_tagged, _bare_tagged),
}


def _laid(folder: Path, runs: int) -> _Past:
    """A history of so many runs; says how long laying it down took."""
    at = time.perf_counter()
    world = app.connect(Settings(home=folder))
    last = History(world).begin(_FLOW, _NAMESPACE, at=AT + runs * _APART, tags=[_TAG])
    mark_successful(world.store, last)
    store = folder / "store"
    content = (store / place_of(last).run).read_bytes()
    for number in range(1, runs):
        _lay(store, f"r{number:020d}", AT + number * _APART, content)
    print(f"{runs:,} runs: laid in {time.perf_counter() - at:.1f} s", file=sys.stderr)
    return _Past(world, store, last)


def _lay(store: Path, run_id: str, at: datetime, content: bytes) -> None:
    """Files where the local store has them, without an fsync or a question."""
    for successful in (False, True):
        _write(store / index_key(_NAMESPACE, _FLOW, run_id, at, successful=successful), b"")
    if int(run_id[1:]) % _TAGGED_EVERY == 0:
        _write(store / tagged_key(_NAMESPACE, _FLOW, run_id, at, _TAG), b"")
        _write(store / RunPlace(_NAMESPACE, _FLOW, run_id).run, content)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
