"""What a run by hand shows while it runs: a live table of its steps, or plain lines.

On a terminal the lines of tasks scroll by above the table, each with its task in the colour of
its step. Elsewhere there are plain lines only, stdout to stdout and stderr to stderr.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import click

from eventflow.cli.output import time_text
from eventflow.model.run import WAITING, RunState
from eventflow.model.task import TaskKey

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console
    from rich.table import Table

    from eventflow.model.graph import FlowGraph
    from eventflow.model.run import TaskState

__all__ = ["LiveView", "PlainView", "RunView", "label_of", "view_of"]

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_magenta")
_REFRESHES_A_SECOND = 8
_ROWS = 20


class RunView(Protocol):
    """Follows one run; a context that ends with it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def on_line(self, key: TaskKey, stream: str, line: str) -> None:
        """An attempt has printed a line."""

    def on_task_state(self, state: TaskState) -> None:
        """An attempt has begun or ended."""


def view_of(graph: FlowGraph) -> RunView:
    """The view that suits where this process prints to."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return PlainView()
    from rich.console import Console

    return LiveView(graph, Console())


def label_of(key: TaskKey) -> str:
    """What a line begins with: the step, and the task where a step may have several, and the
    attempt where it is not the first."""
    task = key.step if key.task == "0" else f"{key.step}/{key.task}"
    return f"{task} #{key.attempt + 1}" if key.attempt else task


def _wait(state: TaskState) -> str:
    key = TaskKey(state.epoch, state.step, state.task, state.attempt)
    return f"[{label_of(key)}] begins at {time_text(state.at)}, since the attempt before it failed"


class PlainView:
    """Lines, as they come."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_line(self, key: TaskKey, stream: str, line: str) -> None:
        """Print it to where the attempt did."""
        click.echo(f"[{label_of(key)}] {line}", err=stream == "stderr")

    def on_task_state(self, state: TaskState) -> None:
        """What a step says is enough, but for a wait of which it says nothing."""
        if state.state == WAITING:
            click.echo(_wait(state), err=True)


class LiveView:
    """A table of the steps that have begun, with the counts of their tasks, below the lines."""

    def __init__(self, graph: FlowGraph, console: Console) -> None:
        from rich.live import Live

        names = [node.name for node in graph.steps]
        self._colours = {
            name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)
        }
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=_REFRESHES_A_SECOND,
            transient=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_line(self, key: TaskKey, stream: str, line: str) -> None:
        """Print it above the table."""
        from rich.text import Text

        text = Text.assemble((f"[{label_of(key)}] ", self._colours.get(key.step, "")))
        text.append_text(Text.from_ansi(line, style="red" if stream == "stderr" else ""))
        self._live.console.print(text, soft_wrap=True)

    def on_task_state(self, state: TaskState) -> None:
        """Count it."""
        if state.state == WAITING:
            self._live.console.print(_wait(state), markup=False, soft_wrap=True)
            return
        counts = self._counts[state.step]
        counts[state.state] += 1
        if state.state != RunState.RUNNING:
            counts[RunState.RUNNING] -= 1

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in ("step", "running", "succeeded", "failed"):
            table.add_column(head, justify="left" if head == "step" else "right")
        begun = [(name, counts) for name, counts in self._counts.items() if counts]
        if len(begun) > _ROWS:
            table.caption = f"{len(begun) - _ROWS} steps before these are done"
        for name, counts in begun[-_ROWS:]:
            failed = counts[RunState.FAILED] + counts[RunState.CANCELLED]
            table.add_row(
                f"[{self._colours[name]}]{name}[/]",
                str(counts[RunState.RUNNING] or ""),
                str(counts[RunState.SUCCEEDED] or ""),
                f"[red]{failed}[/]" if failed else "",
            )
        return table
