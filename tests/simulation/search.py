"""Searching seeds for what the checker complains of, and making what was found small."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.checker import complaints_of
from tests.simulation.installation import run
from tests.simulation.planted import FAULTS, planted
from tests.simulation.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta
    from multiprocessing.pool import Pool

    from tests.simulation.checker import Complaint
    from tests.simulation.happenings import Happening

__all__ = ["Failure", "examine", "first_found", "found_in", "is_found", "searchers", "shrunk"]

_PROCESSES = 2
_BATCH = 16
_MOST_TRIALS = 150
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Failure:
    """A scenario that breaks guarantees, what went wrong in it, and how the checker says it."""

    scenario: Scenario
    happenings: tuple[Happening, ...]
    complaints: tuple[Complaint, ...]

    @property
    def checks(self) -> frozenset[str]:
        """The checks that complain."""
        return frozenset(each.check for each in self.complaints)


def examine(scenario: Scenario, fault: str = "") -> Failure | None:
    """Live through a scenario, with a planted fault or none; None when all is as it should be."""
    with planted(fault):
        try:
            outcome = run(scenario)
        except BaseException as error:
            error.add_note(f"in the simulation of seed {scenario.seed}, fault {fault or 'none'}")
            raise
    complaints = complaints_of(outcome.history)
    if not complaints:
        return None
    return Failure(scenario, tuple(outcome.happenings), tuple(complaints))


def is_found(failure: Failure | None, fault: str) -> bool:
    """Whether the right check complains of a planted fault; any check, of the real code."""
    if failure is None:
        return False
    return not fault or bool(failure.checks & FAULTS[fault].is_seen_by)


@contextmanager
def searchers() -> Iterator[Pool]:
    """The processes that search, for a block. Each is a fresh interpreter."""
    with get_context("spawn").Pool(_PROCESSES) as pool:
        yield pool


def found_in(
    pool: Pool, first: int, lasts: timedelta, fault: str = ""
) -> Iterator[tuple[int, Failure | None]]:
    """Each seed from `first` on with what was found in it, in order, for as long as that lasts."""
    until = time.monotonic() + lasts.total_seconds()
    seeds = count(first)
    while time.monotonic() < until:
        batch = [(next(seeds), fault) for _ in range(_BATCH)]
        yield from pool.imap(_examine_seed, batch)


def first_found(first: int, at_most: int, fault: str = "") -> Failure | None:
    """The first of so many seeds in which the right check complains; in this process."""
    for seed in range(first, first + at_most):
        failure = examine(Scenario.drawn(seed), fault)
        if is_found(failure, fault):
            return failure
    return None


def shrunk(failure: Failure, fault: str = "", at_most: int = _MOST_TRIALS) -> Failure:
    """The same complaint with fewer mishaps and fewer acts, as far as so many trials lead."""
    trials = count(1)
    wanted = failure.checks & FAULTS[fault].is_seen_by if fault else failure.checks
    smallest = failure

    def still_fails(scenario: Scenario) -> bool:
        nonlocal smallest
        if next(trials) > at_most:
            return False
        found = examine(scenario, fault)
        if found is None or not found.checks & wanted:
            return False
        smallest = replace(found, happenings=tuple(sorted(scenario.told or ())))
        return True

    scenario = replace(failure.scenario, told=frozenset(failure.happenings))
    if not still_fails(scenario):
        return failure

    def fails_with(told: Sequence[Happening]) -> bool:
        return still_fails(replace(smallest.scenario, told=frozenset(told)))

    for name in sorted({name for name, _ in failure.happenings}):
        fails_with([each for each in smallest.happenings if each[0] != name])
    for _ in range(2):
        _fewest(smallest.happenings, fails_with)
        _fewest(
            smallest.scenario.acts,
            lambda some: still_fails(replace(smallest.scenario, acts=tuple(some))),
        )
    return smallest


def _examine_seed(task: tuple[int, str]) -> tuple[int, Failure | None]:
    seed, fault = task
    return seed, examine(Scenario.drawn(seed), fault)


def _fewest(items: Sequence[_T], still_fails: Callable[[Sequence[_T]], bool]) -> Sequence[_T]:
    """Delta debugging (Zeller's ddmin): leave out halves, then quarters, and so on."""
    parts = 2
    while items:
        size = max(1, -(-len(items) // parts))
        for start in range(0, len(items), size):
            fewer = [*items[:start], *items[start + size :]]
            if still_fails(fewer):
                items, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(items), parts * 2)
    return items
