"""What reading costs as history grows: 100, 10,000 and 100,000 runs in a local store.

Half of the runs are of a flow that an event starts each minute, half of one that its completions
start. They are laid down as runners lay them, but for the fsyncs, and without tasks. The three
histories are asked in turns, each time of another run; the ceiling is the shortest history.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.figure import Figure, Goal, times_ms
from benchmarks.place import temporary_folder
from eventflow import Flow, app, context
from eventflow.context import World
from eventflow.lineage import lineage_of
from eventflow.settings import Settings
from eventflow.store.local import LocalStore
from eventflow.store.pieces import Data, pieces_of
from tests.support.stored import History, event

__all__ = ["measure"]

_SIZES = (100, 10_000, 100_000)
# A full block has 1,000 offsets in one folder, which is looked through; at 100 runs none is full.
_GOAL = Goal("ratio", 2)
_SEED = 7


def measure(*, questions: int) -> Iterator[Figure]:
    """Over so many questions of each kind to each history."""
    with ExitStack() as folders:
        pasts = [_laid(folders.enter_context(temporary_folder()), size) for size in _SIZES]
        for name, ask in _QUESTIONS.items():
            yield from _asked(name, ask, pasts, questions)


@dataclass(frozen=True, slots=True)
class _Past:
    """A history: its world, and the offset and id of each run that an event started."""

    size: int
    world: World
    begun: tuple[tuple[str, str], ...]


def _asked(
    name: str, ask: Callable[[_Past, int], None], pasts: list[_Past], questions: int
) -> Iterator[Figure]:
    chance = random.Random(_SEED)
    taken: dict[int, list[float]] = {each.size: [] for each in pasts}
    for _ in range(questions):
        for past in pasts:
            number = chance.randrange(len(past.begun))
            with context.using(past.world):
                at = time.perf_counter()
                ask(past, number)
                taken[past.size].append(time.perf_counter() - at)
    shortest, *longer = (times_ms(taken[each.size]) for each in pasts)
    for past, value in zip(pasts[1:], longer, strict=True):
        title, peer = f"{name}, {past.size:,} runs", f"the same, {pasts[0].size} runs"
        yield Figure("many_runs", "local store", title, value, peer, shortest, _GOAL)


def _ask_latest(past: _Past, _: int) -> None:
    run = Flow("shop/prod/Load").latest_run
    _check(run is not None and run.id == past.begun[-1][1], "another run is the latest")


def _ask_run(past: _Past, number: int) -> None:
    found = lineage_of(f"shop/prod/Load/{past.begun[number][1]}")
    _check(len(found.upstream.children) == len(found.downstream.children) == 1, "no lineage")


def _ask_offset(past: _Past, number: int) -> None:
    found = lineage_of(past.begun[number][0])
    _check(len(found.downstream.children) == 1, "an event that started no run")


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise RuntimeError(what)


_QUESTIONS = {
    "latest_run": _ask_latest,
    "lineage of a run, both ways": _ask_run,
    "lineage of an event, by its offset": _ask_offset,
}


def _laid(folder: Path, runs: int) -> _Past:
    """A history of so many runs; says how long laying it down took."""
    at = time.perf_counter()
    world = app.connect(Settings(home=folder))
    laying = replace(world, makers=replace(world.makers, store=lambda _: _Laying(folder / "store")))
    past = _Past(runs, world, tuple(_written(History(laying), runs)))
    print(f"{runs:,} runs: laid in {time.perf_counter() - at:.1f} s", file=sys.stderr)
    return past


def _written(history: History, runs: int) -> Iterator[tuple[str, str]]:
    for offset in range(0, runs, 2):  # the next offset is that of the completion
        landed = event("landed", offset)
        load = history.begin("Load", causes=[landed])
        history.end(load)
        history.end(history.begin("Follow", causes=[history.completion(load, offset + 1)]))
        yield str(landed.origin), load.run_id


class _Laying(LocalStore):
    """Lays files where the local store has them, without an fsync or a question."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)
        self._folder = folder

    def put_if_absent(self, key: str, data: bytes) -> bool:
        path = self._folder / key
        try:
            path.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return True

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        for key, data in objects:
            self.put_if_absent(key, pieces_of(data).joined())
