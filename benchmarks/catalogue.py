"""All benchmarks: what each is called, how much it measures, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import (
    beside_metaflow,
    event_to_user_code,
    import_cost,
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

__all__ = ["BENCHMARKS", "Benchmark"]

_EVERY_BUS = ("embedded", "kafka")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One file of this folder, and what is called in it.

    `quick` and `full` say how many (events, runs, kills, …) it measures in the two shapes; what
    has no `quick` is in the full shape only. `measure` is called with that number; with `on`,
    with a new place on each of these backends and that number.
    """

    name: str
    measure: Callable[..., Iterator[Figure]]
    full: int
    quick: int | None = None
    on: tuple[str, ...] = ()


BENCHMARKS = (
    Benchmark("import_cost", lambda n: import_cost.measure(starts=n), 20, 10),
    Benchmark("trigger_machine", lambda n: trigger_machine.measure(events=n), 100_000, 40_000),
    Benchmark("task_cost", lambda n: task_cost.measure(runs=n), 50, 10),
    Benchmark("task_on_s3", lambda n: task_on_s3.measure(runs=n), 50, 5),
    Benchmark("beside_metaflow", lambda n: beside_metaflow.measure(runs=n), 3),
    Benchmark("many_deployments", lambda n: many_deployments.measure(parts=n), 50, 10),
    Benchmark("many_runs", lambda n: many_runs.measure(questions=n), 100),
    Benchmark("publish", lambda place, n: publish.measure(place, events=n), 2_000, 500, _EVERY_BUS),
    Benchmark(
        "event_to_user_code",
        lambda place, n: event_to_user_code.measure(place, events=n, rate=2),
        *(200, 40, _EVERY_BUS),
    ),
    Benchmark(
        "runs_per_second",
        lambda place, n: runs_per_second.measure(place, runs=n),
        *(800, 240, (*_EVERY_BUS, "kafka + s3")),
    ),
    Benchmark(
        "trigger_take_over",
        lambda place, n: trigger_take_over.measure(place, kills=n),
        *(3, None, _EVERY_BUS),
    ),
    Benchmark(
        "runner_take_over",
        lambda place, n: runner_take_over.measure(place, kills=n),
        *(3, None, _EVERY_BUS),
    ),
)
