"""`python -m benchmarks`: measure, print a table, write one JSON line a figure.

Stops by itself: when it has taken `--limit` seconds (a busy machine), it shows what it has so far
and exits with 1. Everything that it started ends with it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from benchmarks import event_to_user_code, import_cost, publish, task_cost, trigger_machine
from benchmarks.figure import Figure
from benchmarks.machine import load, machine
from benchmarks.place import Place, embedded, on_kafka
from benchmarks.table import show
from tests.servers.finding import ServerMissing

_NAMES = ("import_cost", "event_to_user_code", "task_cost", "trigger_machine", "publish")


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
                for figure in _measured(options):
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
    add("only", nargs="*", metavar="benchmark", help=f"default: all of {', '.join(_NAMES)}")
    add("--events", type=int, default=100, help="of event_to_user_code (default: %(default)s)")
    add("--rate", type=float, default=2, help="of them a second (default: %(default)s)")
    add("--runs", type=int, default=10, help="of task_cost (default: %(default)s)")
    add("--decided", type=int, default=40_000, help="of trigger_machine (default: %(default)s)")
    add("--published", type=int, default=500, help="of publish (default: %(default)s)")
    add("--limit", type=int, default=180, help="seconds, of everything (default: %(default)s)")
    add("--no-kafka", action="store_true", help="embedded only")
    add("--json", type=Path, default=Path("build/benchmarks.jsonl"), help="(default: %(default)s)")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - set(_NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    options.only = options.only or _NAMES
    return options


def _measured(options: argparse.Namespace) -> Iterator[Figure]:
    if "import_cost" in options.only:
        yield from import_cost.measure()
    if "trigger_machine" in options.only:
        yield from trigger_machine.measure(events=options.decided)
    if "task_cost" in options.only:
        yield from task_cost.measure(runs=options.runs)
    with embedded() as place:
        yield from _on(place, options)
    if not options.no_kafka:
        try:
            with on_kafka() as place:
                yield from _on(place, options)
        except ServerMissing as missing:
            print(f"left out on Kafka: {missing}", file=sys.stderr)


def _on(place: Place, options: argparse.Namespace) -> Iterator[Figure]:
    if "publish" in options.only:
        yield from publish.measure(place, events=options.published)
    if "event_to_user_code" in options.only:
        yield from event_to_user_code.measure(place, events=options.events, rate=options.rate)


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
