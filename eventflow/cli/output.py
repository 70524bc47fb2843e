"""What commands print: a table for people, or one JSON document a line with `--json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

__all__ = ["as_json_option", "print_rows", "print_values", "time_text"]


def as_json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="One JSON document a line, everything in full."
    )(command)


def print_rows(
    columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, as_json: bool
) -> None:
    """Rows, of which people see `columns` and `--json` all fields."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    heads = [column.replace("_", " ").upper() for column in columns]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(columns))]
    for line in [heads, *cells]:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_values(values: Mapping[str, object], *, as_json: bool) -> None:
    """One thing: a line a field."""
    if as_json:
        click.echo(json.dumps(values, default=str))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' ').ljust(width)}  {_cell(value)}")


def time_text(at: datetime | None) -> str:
    """A time for people: local, to the millisecond."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if at else "-"


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return value if isinstance(value, str) else json.dumps(value, default=str)
