"""The soak of the simulation: as many seeds as there is time for, and what becomes of one.

python -m tests.simulation --seconds 60             the real code, from a seed of the clock on
python -m tests.simulation --seed 17                one seed, with all that happens in it
python -m tests.simulation --plants                 search every planted fault
python -m tests.simulation --remake                 the same, and write the table of seeds anew
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.checker import complaints_of
from tests.simulation.installation import run
from tests.simulation.planted import FAULTS, planted
from tests.simulation.scenario import Scenario
from tests.simulation.search import Failure, found_in, is_found, searchers, shrunk
from tests.simulation.table import Found, read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.pool import Pool

_MOST_SEEDS = 10_000
_LONGEST_SEARCH = timedelta(hours=1)
_TRACES = Path("build/simulation")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is as it should be."""
    asked = _parser().parse_args(arguments)
    if asked.seed is not None:
        return _replay(asked.seed, asked.fault)
    first = int(time.time()) % 10**9 if asked.first is None else asked.first
    faults = [asked.fault] if asked.fault else [*FAULTS]
    with searchers() as pool:
        if asked.remake:
            return _remake(pool, faults)
        if asked.plants:
            found = [_find(pool, fault, first) for fault in faults]
            return 0 if all(found) else 1
        return _soak(pool, first, timedelta(seconds=asked.seconds))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seconds", type=float, default=60, help="how long to search")
    parser.add_argument("--first", type=int, help="the first seed; otherwise the clock says it")
    parser.add_argument("--seed", type=int, help="live through this one, and tell it all")
    parser.add_argument("--fault", default="", choices=["", *FAULTS], help="with this one planted")
    parser.add_argument("--plants", action="store_true", help="search planted faults")
    parser.add_argument("--remake", action="store_true", help="search them; write their table")
    return parser


def _soak(pool: Pool, first: int, lasts: timedelta) -> int:
    _say(f"the real code, from seed {first} on")
    began, seeds, failure = time.monotonic(), 0, None
    for _, failure in found_in(pool, first, lasts):
        seeds += 1
        if failure is not None:
            break
    took = time.monotonic() - began
    _say(f"{seeds} seeds in {took:.0f} s: {seeds / took:.1f} a second")
    if failure is None:
        return 0
    _tell(failure)
    return 1


def _tell(failure: Failure) -> None:
    """The failure as it was found, and the smallest example of it."""
    seed = failure.scenario.seed
    _say(f"seed {seed} breaks guarantees; to see it: python -m tests.simulation --seed {seed}")
    for complaint in failure.complaints:
        _say(f"  {complaint}")
    small = shrunk(failure)
    _say(f"its smallest example has {len(small.happenings)} of {len(failure.happenings)} mishaps")
    for part in (*small.happenings, *small.scenario.acts, *small.complaints):
        _say(f"  {part}")
    trace = _told(small.scenario)
    file = _TRACES / f"{seed}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(trace))
    for line in trace:
        _say(line)
    _say(f"the same is in {file}")


def _replay(seed: int, fault: str) -> int:
    scenario = Scenario.drawn(seed)
    for line in _told(scenario, fault):
        _say(line)
    with planted(fault):
        complaints = complaints_of(run(scenario).history)
    for complaint in complaints:
        _say(str(complaint))
    return 1 if complaints else 0


def _told(scenario: Scenario, fault: str = "") -> list[str]:
    """All that happens in a scenario; mishaps stand after a `!`."""
    with planted(fault):
        trace = run(scenario, keeps_trace=True).trace
    return [f"{at.total_seconds():12.6f}  {by:<28} {what}" for at, by, what in trace]


def _find(pool: Pool, fault: str, first: int) -> Failure | None:
    """The first seed of ten thousand that shows a planted fault."""
    began = time.monotonic()
    for seed, failure in found_in(pool, first, _LONGEST_SEARCH, fault):
        if is_found(failure, fault):
            took = time.monotonic() - began
            _say(f"{fault}: found after {seed - first + 1} seeds, {took:.0f} s")
            return failure
        if seed - first >= _MOST_SEEDS:
            break
    _say(f"{fault}: not found")
    return None


def _remake(pool: Pool, faults: Sequence[str]) -> int:
    table = read_table()
    for fault in faults:
        failure = _find(pool, fault, 0)
        table.pop(fault, None)
        if failure is not None:
            small = shrunk(failure, fault)
            checks = sorted(small.checks & FAULTS[fault].is_seen_by)
            table[fault] = Found(failure.scenario.seed, tuple(checks), small.happenings)
            _say(f"  smallest: {len(small.happenings)} mishaps, {len(small.scenario.acts)} acts")
            _say(f"  {next(each for each in small.complaints if each.check in checks)}")
        write_table(table)
    return 0 if all(fault in table for fault in faults) else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
