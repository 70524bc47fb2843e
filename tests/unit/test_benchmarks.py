"""The frame of the benchmarks: what a figure says, and how it gets into tables and the document."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.catalogue import BENCHMARKS
from benchmarks.document import BEGIN, END, between, with_tables
from benchmarks.figure import Figure, Goal, Measured, limit_ms, rates, times_ms
from benchmarks.place import BACKENDS
from benchmarks.table import markdown

PEER = Measured("ms", 100, 4.0, 8.0)
MACHINE = {"cpu": "a cpu", "cores": 2, "system": "a system", "python": "3.11"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"


def figure(goal: Goal | None = None, *, p50: float = 6.0, name: str = "a task") -> Figure:
    value = Measured("ms", 100, p50, 12.0)
    return Figure("task_cost", "local store", name, value, "bare forks", PEER, goal)


def line(measured: Figure) -> dict[str, object]:
    """As `python -m benchmarks` writes it."""
    written = {**measured.to_json(), "machine": MACHINE, "begun_at": "2026-01-31T06:00", "load": 1}
    return dict(json.loads(json.dumps(written)))


class TestFigures:
    def test_of_times_p99_is_what_99_of_100_do_not_exceed(self) -> None:
        measured = times_ms([number / 1000 for number in range(101)])

        assert (measured.unit, measured.count) == ("ms", 101)
        assert (measured.p50, measured.p99) == pytest.approx((50, 99))

    def test_of_rates_p99_is_what_99_of_100_reach(self) -> None:
        measured = rates([1 / number for number in range(1, 102)], 1)

        assert (measured.unit, measured.count) == ("1/s", 101)
        assert (measured.p50, measured.p99) == pytest.approx((51, 2))

    def test_one_sample_is_its_own_quantiles(self) -> None:
        measured = times_ms([0.5])

        assert (measured.p50, measured.p99) == (500, 500)

    def test_a_limit_is_no_measurement(self) -> None:
        limit = limit_ms(timedelta(seconds=6))

        assert limit == Measured("ms", 0, 6000, 6000)

    def test_the_ratio_is_that_of_the_medians(self) -> None:
        assert figure().ratio == 1.5

    @pytest.mark.parametrize(
        ("goal", "is_met"),
        [
            (None, None),
            (Goal("p50", 6), True),
            (Goal("p50", 5.9), False),
            (Goal("p99", 12), True),
            (Goal("p99", 11), False),
            (Goal("ratio", 1.5), True),
            (Goal("ratio", 1.6, is_lower_bound=True), False),
            (Goal("p50", 6, is_lower_bound=True), True),
        ],
    )
    def test_a_goal_bounds_times_from_above_and_rates_from_below(
        self, goal: Goal | None, is_met: bool | None
    ) -> None:
        assert figure(goal).is_goal_met is is_met

    def test_what_was_written_is_read_again(self) -> None:
        measured = figure(Goal("p99", 11))

        assert Figure.from_json(line(measured)) == measured


class TestTables:
    def test_a_figure_stands_beside_its_ceiling_ratio_and_goal(self) -> None:
        *_, row = markdown([figure(Goal("p50", 10))]).splitlines()

        assert row == (
            "| a task | local store | ms | 100 | 6.00 | 12.00 | bare forks | 4.00 | 8.00 | 1.50"
            " | p50 ≤ 10 met |"
        )

    def test_the_tables_take_the_place_of_the_former_ones_and_leave_the_rest(self) -> None:
        document = f"before\n{BEGIN}\nold\n{END}\nafter\n"

        found = with_tables(document, [line(figure())])

        assert found.startswith(f"before\n{BEGIN}\n")
        assert found.endswith(f"{END}\nafter\n")
        assert "old" not in found
        assert "### Runs and their tasks" in found
        assert with_tables(found, [line(figure())]) == found

    def test_of_a_figure_that_was_measured_twice_the_last_one_counts(self) -> None:
        lines = [line(figure(p50=7.77)), line(figure(p50=5.55)), line(figure(name="another"))]

        found = with_tables(f"{BEGIN}{END}", lines)

        assert "7.77" not in found
        assert found.count("| a task |") == found.count("5.55") == 1
        assert "| another |" in found

    def test_a_document_without_a_place_for_figures_is_refused(self) -> None:
        with pytest.raises(ValueError, match="has no"):
            with_tables("nothing here", [line(figure())])

    def test_other_parts_of_the_document_have_marks_of_their_own(self) -> None:
        document = f"{BEGIN}{END}<!-- one -->old<!-- two -->after"

        found = between(document, "<!-- one -->", "<!-- two -->", "new\n")

        assert found == f"{BEGIN}{END}<!-- one -->\nnew\n<!-- two -->after"

    def test_the_document_of_this_project_has_a_place_for_figures(self) -> None:
        found = with_tables(DOCUMENT.read_text(encoding="utf-8"), [line(figure())])

        assert "| a task |" in found


def test_each_benchmark_has_a_name_of_its_own_and_runs_where_there_is_a_place() -> None:
    names = [each.name for each in BENCHMARKS]

    assert len(set(names)) == len(names)
    assert {backend for each in BENCHMARKS for backend in each.on} <= set(BACKENDS)
