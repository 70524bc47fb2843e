"""The figures for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.figure import Figure, Measured

__all__ = ["show"]

_WIDTH = 140
_WHOLE = 1_000
_MARKS = {None: "", True: "met", False: "missed"}


def show(figures: Sequence[Figure], machine: dict[str, Any], loads: tuple[float, float]) -> None:
    """Print them, with the machine and its load before and after."""
    table = Table(caption_justify="left")
    for heading in ("what", "on", "unit", "n", "p50", "p99", "ceiling", "p50", "p99"):
        table.add_column(heading, overflow="fold")
    table.add_column("ratio", justify="right")
    table.add_column("goal")
    for each in figures:
        table.add_row(
            *(each.name, each.backend, each.value.unit, str(each.value.count)),
            *_quantiles(each.value),
            each.peer,
            *_quantiles(each.ceiling),
            f"{each.ratio:.2f}",
            f"{each.goal or ''} {_MARKS[each.is_goal_met]}".strip(),
        )
    console = Console(width=_WIDTH)
    console.print(table)
    console.print(f"{', '.join(f'{name} {value}' for name, value in machine.items())}")
    console.print(f"load {loads[0]:g} before, {loads[1]:g} after; Kafka: a single broker, loopback")


def _quantiles(measured: Measured) -> tuple[str, str]:
    return _short(measured.p50), _short(measured.p99)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2f}"
