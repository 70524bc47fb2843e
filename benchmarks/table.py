"""The figures for people: on a terminal, and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figure import Figure, Measured

__all__ = ["markdown", "show"]

_WIDTH = 140
_WHOLE = 1_000
_TENTHS = 100
_MARKS = {None: "", True: "met", False: "missed"}
_HEADINGS = ("what", "on", "unit", "n", "p50", "p99", "beside", "p50", "p99", "ratio", "goal")
_RIGHT = ("n", "p50", "p99", "ratio")


def show(figures: Sequence[Figure], machine: dict[str, Any], loads: tuple[float, float]) -> None:
    """Print them, with the machine and its load before and after."""
    table = Table(caption_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold", justify="right" if heading in _RIGHT else "left")
    for each in figures:
        table.add_row(*_row(each))
    console = Console(width=_WIDTH)
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    console.print(f"load {loads[0]:g} before, {loads[1]:g} after; Kafka: a single broker, loopback")


def markdown(figures: Sequence[Figure]) -> str:
    """The same table for a document; a line each."""
    rules = ["--:" if heading in _RIGHT else "---" for heading in _HEADINGS]
    rows = [_HEADINGS, rules, *(map(_escaped, _row(each)) for each in figures)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        *(figure.name, figure.backend, figure.value.unit, f"{figure.value.count:,}"),
        *_quantiles(figure.value),
        figure.peer,
        *_quantiles(figure.ceiling),
        _short(figure.ratio),
        f"{figure.goal or ''} {_MARKS[figure.is_goal_met]}".strip(),
    )


def _quantiles(measured: Measured) -> Iterator[str]:
    """Of a ceiling that is a setting, the one number that there is."""
    yield _short(measured.p50)
    yield _short(measured.p99) if measured.count else ""


def _short(value: float) -> str:
    """Three digits or a little more."""
    if value >= _WHOLE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _TENTHS else f"{value:.2f}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
