"""Printing what tasks printed, of a run, a step or a task: once, or until it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.output import time_text
from eventflow.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventflow.cli.flow_place import Part
    from eventflow.client.printed import PrintedLine
    from eventflow.model.task import TaskKey

__all__ = ["LogOptions", "log_options", "print_logs"]

_LOOK_EVERY_S = 0.5
_STREAMS = ("stdout", "stderr")
_LOST = "… was lost with its processes: this is what was seen of its output"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What somebody wants to see. `stream` is empty for both."""

    stream: str
    attempt: int | None
    timestamps: bool
    follow: bool

    @property
    def streams(self) -> Sequence[str]:
        """The streams that are wanted."""
        return (self.stream,) if self.stream else _STREAMS


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that prints logs: its keywords are those of `LogOptions`."""
    options = [
        click.option("--stdout", "stream", flag_value="stdout", help="Only this."),
        click.option("--stderr", "stream", flag_value="stderr", help="Only this."),
        click.option("--both", "stream", flag_value="", default="", help="Both; the default."),
        click.option("--attempt", type=click.IntRange(0), help="Another than the one that counts."),
        click.option("--timestamps/--no-timestamps", help="The time by which a line was printed."),
        click.option("--follow", is_flag=True, help="Go on until the run, or the task, has ended."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def print_logs(part: Part, named: str, options: LogOptions) -> None:
    """Print them. `named` is how the part was named.

    Raises:
        NotFound: there is no such step, nothing to show yet, or no such attempt.
    """
    if options.follow:
        _follow(part, options)
    else:
        _show(part, named, options)


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints lines to where they were printed to."""

    options: LogOptions
    is_one: bool

    def line(self, line: PrintedLine) -> None:
        """One line, if its stream is wanted."""
        if line.stream in self.options.streams:
            at = f"{time_text(line.at)} " if self.options.timestamps else ""
            click.echo(f"{at}{self._lead(line.key)}{line.text}", err=line.stream == "stderr")

    def remark(self, key: TaskKey, text: str) -> None:
        """Something about an attempt."""
        click.echo(f"{self._lead(key)}{text}", err=True)

    def _lead(self, key: TaskKey) -> str:
        if self.is_one:
            return ""
        number = f" #{key.attempt + 1}" if key.attempt else ""
        return f"[{key.step}/{key.task}{number}] "


def _show(part: Part, named: str, options: LogOptions) -> None:
    from eventflow.client.attempts import shown_attempts
    from eventflow.client.printed import lines_of

    place = part.place
    ended, unended = shown_attempts(place, part.step, part.task, options.attempt)
    if not ended and not unended:
        part.tasks()  # says so of a task that can never be
        raise NotFound(f"No task of {named} has ended: nothing is known of it yet.")
    printer = _Printer(options, is_one=len(ended) + len(unended) == 1)
    for key in (*ended, *unended):
        for line in lines_of(place, key):
            printer.line(line)
    for key in unended:
        printer.remark(key, _LOST if part.run.finished else "… is at work")


def _follow(part: Part, options: LogOptions) -> None:
    from eventflow.client.printed import Follower, LostAttempt

    printer = _Printer(options, is_one=part.task is not None)
    follower = Follower(part.place, part.step, part.task, options.attempt)
    while True:
        is_over = part.run.finished  # asked first: what ends until then is seen below
        looked_at = time.monotonic()
        for said in follower.look(is_over=is_over):
            if isinstance(said, LostAttempt):
                printer.remark(said.key, _LOST)
            else:
                printer.line(said)
        if is_over or (part.task is not None and any(task.successful for task in part.tasks())):
            return
        time.sleep(max(_LOOK_EVERY_S, time.monotonic() - looked_at))
