"""The soak of the simulation: as many seeds as there is time for, and what becomes of one.

python -m tests.simulation --seconds 60             the real code, from a seed of the clock on
python -m tests.simulation --seed 17                one seed, with all that happens in it
python -m tests.simulation --plant NAME             search a planted fault
python -m tests.simulation --remake                 search all of them; write their table anew
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path

from tests.simulation.checker import complaints_of
from tests.simulation.installation import run
from tests.simulation.planted import FAULTS, planted
from tests.simulation.scenario import Scenario
from tests.simulation.search import Failure, found_in, is_found, shrunk
from tests.simulation.table import Found, read_table, write_table

_MOST_SEEDS = 10_000
_LONGEST_SEARCH = timedelta(minutes=30)
_TRACES = Path("build/simulation")


def main(arguments: list[str] | None = None) -> int:
    """0 when all is as it should be."""
    asked = _parser().parse_args(arguments)
    if asked.remake:
        return _remake(asked.only or [*FAULTS])
    if asked.plant:
        return 0 if _search(asked.plant, asked.first or 0) is not None else 1
    if asked.seed is not None:
        return _replay(asked.seed, asked.fault)
    first = int(time.time()) % 10**9 if asked.first is None else asked.first
    return _soak(first, timedelta(seconds=asked.seconds))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seconds", type=float, default=60, help="how long to search")
    parser.add_argument("--first", type=int, help="the first seed")
    parser.add_argument("--seed", type=int, help="live through this one, and tell it all")
    parser.add_argument("--fault", default="", choices=["", *FAULTS], help="with --seed")
    parser.add_argument("--plant", choices=[*FAULTS], help="search this planted fault")
    parser.add_argument("--remake", action="store_true", help="search all planted faults anew")
    parser.add_argument("--only", nargs="+", choices=[*FAULTS], help="with --remake")
    return parser


def _soak(first: int, lasts: timedelta) -> int:
    _say(f"the real code, from seed {first} on")
    began, seeds, failures = time.monotonic(), 0, list[Failure]()
    for _, failure in found_in(first, lasts):
        seeds += 1
        if failure is not None:
            failures.append(failure)
            break
    took = time.monotonic() - began
    _say(f"{seeds} seeds in {took:.0f} s: {seeds / took:.2f} a second, {len(failures)} failed")
    for failure in failures:
        _tell(failure)
    return 1 if failures else 0


def _tell(failure: Failure) -> None:
    """The failure as it was found, and the smallest example of it."""
    seed = failure.scenario.seed
    _say(f"seed {seed} breaks guarantees (python -m tests.simulation --seed {seed}):")
    for complaint in failure.complaints:
        _say(f"  {complaint}")
    small = shrunk(failure)
    _say(f"the smallest example: {len(small.happenings)} of {len(failure.happenings)} mishaps,")
    _say(f"  {small.happenings}")
    for act in small.scenario.acts:
        _say(f"  {act}")
    for complaint in small.complaints:
        _say(f"  {complaint}")
    _say(f"its trace: {_trace(small.scenario, f'{seed}-small')}")


def _replay(seed: int, fault: str) -> int:
    with planted(fault):
        outcome = run(Scenario.drawn(seed), keeps_trace=True)
    complaints = complaints_of(outcome.history)
    for at, process, what in outcome.trace:
        _say(f"{at.total_seconds():10.6f}  {process:<24} {what}")
    _say(f"{outcome.effects} effects, {len(outcome.happenings)} mishaps")
    for complaint in complaints:
        _say(str(complaint))
    return 1 if complaints else 0


def _trace(scenario: Scenario, name: str) -> Path:
    outcome = run(scenario, keeps_trace=True)
    file = _TRACES / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{at.total_seconds():10.6f}  {by:<24} {what}\n" for at, by, what in outcome.trace)
    file.write_text("".join(lines))
    return file


def _search(fault: str, first: int = 0) -> Found | None:
    began = time.monotonic()
    for seed, failure in found_in(first, _LONGEST_SEARCH, fault, _MOST_SEEDS):
        if failure is not None and is_found(failure, fault):
            seconds = time.monotonic() - began
            small = shrunk(failure, fault)
            checks = failure.checks & FAULTS[fault].is_seen_by
            _say(f"{fault}: seed {seed}, after {seed - first + 1} seeds, {seconds:.0f} s")
            _say(f"  {min(failure.complaints, key=lambda each: each.check not in checks)}")
            _say(f"  smallest: {small.happenings}, {len(small.scenario.acts)} acts")
            return Found(seed, tuple(sorted(checks)), small.happenings)
    _say(f"{fault}: not found")
    return None


def _remake(faults: list[str]) -> int:
    table = read_table()
    for fault in faults:
        found = _search(fault)
        if found is not None:
            table[fault] = found
            write_table(table)
        else:
            table.pop(fault, None)
    return 0 if all(fault in table for fault in faults) else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
