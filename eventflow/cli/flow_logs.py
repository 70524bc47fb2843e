"""`python flow.py logs`: what tasks printed, from the store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from eventflow.cli.flow_place import look, part_of
from eventflow.cli.output import time_text
from eventflow.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.cli.flow_place import Part
    from eventflow.cli.flow_target import Target
    from eventflow.client.printed import PrintedLine
    from eventflow.model.task import TaskKey

__all__ = ["command"]

_LOOK_EVERY_S = 0.5
_STREAMS = ("stdout", "stderr")
_LOST = "… was lost with its processes: this is what was seen of its output"


@dataclass(frozen=True, slots=True)
class _Printer:
    """Prints lines to where they were printed to."""

    streams: Sequence[str]
    is_one: bool
    with_times: bool

    def line(self, line: PrintedLine) -> None:
        """One line, if its stream is wanted."""
        if line.stream in self.streams:
            at = f"{time_text(line.at)} " if self.with_times else ""
            click.echo(f"{at}{self._lead(line.key)}{line.text}", err=line.stream == "stderr")

    def remark(self, key: TaskKey, text: str) -> None:
        """Something about an attempt."""
        click.echo(f"{self._lead(key)}{text}", err=True)

    def _lead(self, key: TaskKey) -> str:
        if self.is_one:
            return ""
        number = f" #{key.attempt + 1}" if key.attempt else ""
        return f"[{key.step}/{key.task}{number}] "


@click.command("logs")
@click.argument("words", metavar="[show] RUN[/STEP[/TASK]]", nargs=-1, required=True)
@click.option("--stdout", "stream", flag_value="stdout", help="Only this.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only this.")
@click.option("--both", "stream", flag_value="", default="", help="Both; the default.")
@click.option("--attempt", type=click.IntRange(0), help="Another than the one that counts.")
@click.option("--timestamps/--no-timestamps", help="When each line had been printed by.")
@click.option("--follow", is_flag=True, help="Go on until the run, or the task, has ended.")
@click.pass_obj
def command(
    target: Target,
    words: tuple[str, ...],
    stream: str,
    attempt: int | None,
    timestamps: bool,
    follow: bool,
) -> None:
    """Print what the tasks of a run, of a step, or one task printed.

    Of a task at work, what it has printed so far. Of several, each line has its step and task
    before it, and the attempt where it is not the first.
    """
    world = look(target)
    part = part_of(target, _named(words))
    streams = (stream,) if stream else _STREAMS
    if follow:
        _follow(part, _Printer(streams, part.task is not None, timestamps), attempt)
    else:
        _show(part, streams, attempt, _named(words), with_times=timestamps)
    world.close()


def _named(words: tuple[str, ...]) -> str:
    """What is named behind the word `show`, which Metaflow asks for."""
    named = words[1:] if words[0] == "show" else words
    if len(named) != 1:
        raise click.UsageError("Name one: logs RUN, logs RUN/STEP, or logs RUN/STEP/TASK.")
    return named[0]


def _show(
    part: Part, streams: Sequence[str], attempt: int | None, named: str, *, with_times: bool
) -> None:
    from eventflow.client.attempts import shown_attempts
    from eventflow.client.printed import lines_of

    place = part.place
    ended, unended = shown_attempts(place, part.step, part.task, attempt)
    if not ended and not unended:
        raise NotFound(f"No task of {named} has ended: nothing is known of it yet.")
    printer = _Printer(streams, len(ended) + len(unended) == 1, with_times)
    for key in (*ended, *unended):
        for line in lines_of(place, key):
            printer.line(line)
    for key in unended:
        printer.remark(key, _LOST if part.run.finished else "… is at work")


def _follow(part: Part, printer: _Printer, attempt: int | None) -> None:
    from eventflow.client.printed import Follower

    follower = Follower(part.place, part.step, part.task, attempt)
    while True:
        is_over = part.run.finished  # asked first: what ends until then is seen below
        looked_at = time.monotonic()
        for line in follower.look():
            printer.line(line)
        for key, lines in follower.lost(is_over=is_over):
            for line in lines:
                printer.line(line)
            printer.remark(key, _LOST)
        if is_over or (part.task is not None and any(task.successful for task in part.tasks())):
            return
        time.sleep(max(_LOOK_EVERY_S, time.monotonic() - looked_at))
