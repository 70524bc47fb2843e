"""All benchmarks: what each is called, how much it measures, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import (
    artifacts,
    artifacts_beside_metaflow,
    beside_metaflow,
    decisions,
    event_to_user_code,
    import_cost,
    latest_run,
    many_deployments,
    many_runs,
    publish,
    runner_take_over,
    runs_per_second,
    task_cost,
    task_on_s3,
    trigger_machine,
    trigger_take_over,
)
from benchmarks.figure import Figure
from benchmarks.place import Place

__all__ = ["BENCHMARKS", "Benchmark"]

_EVERY_BUS = ("embedded", "kafka")
_EVERY_STORE = (*_EVERY_BUS, "kafka + s3")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One line of the list below.

    `quick` and `full` say how many (events, runs, kills, …) are measured in the two shapes; what
    has no `quick` is in the full shape only. `measure` is called with that number; with `on`,
    with a new place on each of these backends and that number.
    """

    name: str
    heading: str
    measure: Callable[..., Iterator[Figure]]
    full: int
    quick: int | None = None
    on: tuple[str, ...] = ()


def _take_over(place: Place, kills: int) -> Iterator[Figure]:
    yield from trigger_take_over.measure(place, kills=kills)
    yield from runner_take_over.measure(place, kills=kills)


_WAY = "The way of an event"
_RATES = "Decisions"
_RUNS = "Runs and their tasks"
_ARTIFACTS = "Large artifacts"
_DEATH = "After a death"
_GROWTH = "As things grow"
_BEGIN = "Starting"

BENCHMARKS = (
    Benchmark(
        "event_to_user_code",
        _WAY,
        lambda place, n: event_to_user_code.measure(place, events=n, rate=2),
        full=200,
        quick=40,
        on=_EVERY_BUS,
    ),
    Benchmark(
        "publish",
        _WAY,
        lambda place, n: publish.measure(place, events=n),
        full=2_000,
        quick=500,
        on=_EVERY_BUS,
    ),
    Benchmark(
        "decisions",
        _RATES,
        lambda place, n: decisions.measure(place, events=n),
        full=80_000,
        quick=40_000,
        on=_EVERY_BUS,
    ),
    Benchmark(
        "trigger_machine", _RATES, lambda n: trigger_machine.measure(events=n), 100_000, 40_000
    ),
    Benchmark("task_cost", _RUNS, lambda n: task_cost.measure(runs=n), 50, 10),
    Benchmark("task_on_s3", _RUNS, lambda n: task_on_s3.measure(runs=n), 50, 5),
    Benchmark("beside_metaflow", _RUNS, lambda n: beside_metaflow.measure(runs=n), 3),
    Benchmark(
        "runs_per_second",
        _RUNS,
        lambda place, n: runs_per_second.measure(place, runs=n),
        full=800,
        quick=240,
        on=_EVERY_STORE,
    ),
    Benchmark("artifacts", _ARTIFACTS, lambda n: artifacts.measure(mebibytes=n), 1024, 256),
    Benchmark(
        "artifacts_beside_metaflow",
        _ARTIFACTS,
        lambda n: artifacts_beside_metaflow.measure(mebibytes=n),
        full=256,
    ),
    Benchmark("take_over", _DEATH, _take_over, full=3, on=_EVERY_BUS),
    Benchmark("many_deployments", _GROWTH, lambda n: many_deployments.measure(parts=n), 50, 10),
    Benchmark("latest_run", _GROWTH, lambda n: latest_run.measure(questions=n), 200, 50),
    Benchmark("many_runs", _GROWTH, lambda n: many_runs.measure(questions=n), 100),
    Benchmark("import_cost", _BEGIN, lambda n: import_cost.measure(starts=n), 20, 10),
)
