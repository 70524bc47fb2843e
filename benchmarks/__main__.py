"""`python -m benchmarks`: measure, print a table, write one JSON line a figure.

Stops by itself: when it has taken `--limit` seconds (a busy machine), it shows what it has so far
and exits with 1. Everything that it started ends with it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.figure import Figure, NotToBeHad
from benchmarks.machine import load, machine
from benchmarks.place import BACKENDS, site
from benchmarks.table import show
from tests.servers.finding import ServerMissing

_NAMES = [each.name for each in BENCHMARKS]
_QUICK_LIMIT_S, _FULL_LIMIT_S = 600, 3600


def main() -> int:
    """Exit status 0 when everything was measured, whether or not a goal was met."""
    options = _options()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    here, load_before = machine(), load()
    begun = {"machine": here, "begun_at": datetime.now(UTC).isoformat()}
    figures: list[Figure] = []
    late: TimeoutError | None = None
    with options.json.open("w", encoding="utf-8") as file:
        try:
            with _limit(options.limit):
                for figure in _measured(_chosen(options), options):
                    _keep(figure, begun, file)
                    figures.append(figure)
        except TimeoutError as error:
            late = error
    show(figures, here, (load_before, load()))
    print(f"written to {options.json}")
    return 0 if late is None else _say_late(late)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("only", nargs="*", metavar="benchmark", help=f"of {', '.join(_NAMES)}")
    add("--all", action="store_true", help="all of them, at full length; else the quick ones")
    add("-n", type=int, metavar="N", help="measure so many (events, runs, …) of each")
    add("--limit", type=int, help=f"seconds ({_QUICK_LIMIT_S}; with --all {_FULL_LIMIT_S})")
    add("--no-kafka", action="store_true", help="embedded only")
    add("--json", type=Path, default=Path("build/benchmarks.jsonl"), help="(default: %(default)s)")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - set(_NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    options.limit = options.limit or (_FULL_LIMIT_S if options.all else _QUICK_LIMIT_S)
    return options


def _chosen(options: argparse.Namespace) -> list[tuple[Benchmark, int]]:
    """What is measured, and how many of it: what is named, else all of the shape."""
    named = [each for each in BENCHMARKS if not options.only or each.name in options.only]
    found = []
    for each in named:
        count = each.full if options.all else each.quick
        if count is None and options.only:
            count = each.full
        if count is not None:
            found.append((each, options.n or count))
    return found


def _measured(
    chosen: Sequence[tuple[Benchmark, int]], options: argparse.Namespace
) -> Iterator[Figure]:
    for benchmark, count in chosen:
        if not benchmark.on:
            yield from _or_left_out(benchmark.name, benchmark.measure(count))
    for backend in BACKENDS:
        here = [(each, count) for each, count in chosen if backend in each.on]
        if here and not (options.no_kafka and "kafka" in backend):
            yield from _or_left_out(backend, _on(backend, here))


def _on(backend: str, chosen: Sequence[tuple[Benchmark, int]]) -> Iterator[Figure]:
    with site(backend) as servers:
        for benchmark, count in chosen:
            with servers.place() as place:
                yield from _or_left_out(benchmark.name, benchmark.measure(place, count))


def _or_left_out(what: str, figures: Iterator[Figure]) -> Iterator[Figure]:
    """What needs something that cannot be had is left out, in plain words."""
    try:
        yield from figures
    except (NotToBeHad, ServerMissing) as missing:
        print(f"left out: {what}: {missing}", file=sys.stderr)


def _say_late(error: TimeoutError) -> int:
    print(f"not everything was measured: {error}", file=sys.stderr)
    return 1


def _keep(figure: Figure, begun: dict[str, Any], file: TextIO) -> None:
    """Written at once: what was measured is kept when a later benchmark fails."""
    line = {**figure.to_json(), **begun, "load": load()}
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()
    print(f"measured: {figure.benchmark}, {figure.backend}", file=sys.stderr)


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in the block when it takes longer; also SIGTERM ends it in good order."""

    def late(*_: object) -> None:
        raise TimeoutError(f"the benchmarks took longer than {seconds} s")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, stopped)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    sys.exit(main())
