"""`python flow.py logs`: what tasks printed, from the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from eventflow.cli.flow_place import look, part_of
from eventflow.errors import NotFound

if TYPE_CHECKING:
    from eventflow.cli.flow_place import Part
    from eventflow.cli.flow_target import Target
    from eventflow.client.task import Task

__all__ = ["command"]

_LOOK_EVERY_S = 1.0
_STREAMS = ("stdout", "stderr")


@click.command("logs")
@click.argument("words", metavar="[show] RUN[/STEP[/TASK]]", nargs=-1, required=True)
@click.option("--stdout", "stream", flag_value="stdout", help="Only this.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only this.")
@click.option("--both", "stream", flag_value="", default="", help="Both; the default.")
@click.option("--attempt", type=click.IntRange(0), help="Another than the one that counts.")
@click.option("--follow", is_flag=True, help="Go on until the run has ended.")
@click.pass_obj
def command(
    target: Target, words: tuple[str, ...], stream: str, attempt: int | None, follow: bool
) -> None:
    """Print what the tasks of a run, of a step, or one task printed.

    A task shows once it has ended. Of several, each line has its step and task before it.
    """
    world = look(target)
    part = part_of(target, _named(words))
    streams = (stream,) if stream else _STREAMS
    if follow:
        _follow(part, streams, attempt)
    else:
        tasks = part.tasks()
        if not tasks:
            raise NotFound(f"No task of {_named(words)} has ended: nothing is known of it yet.")
        for task in tasks:
            _print(_of_attempt(task, attempt), streams, is_one=len(tasks) == 1)
    world.close()


def _named(words: tuple[str, ...]) -> str:
    """What is named behind the word `show`, which Metaflow asks for."""
    named = words[1:] if words[0] == "show" else words
    if len(named) != 1:
        raise click.UsageError("Name one: logs RUN, logs RUN/STEP, or logs RUN/STEP/TASK.")
    return named[0]


def _follow(part: Part, streams: tuple[str, ...], attempt: int | None) -> None:
    shown: set[str] = set()
    while True:
        is_over = part.run.finished  # asked first: what ends until then is seen below
        for task in part.tasks():
            if task.pathspec not in shown and (is_over or task.successful):
                shown.add(task.pathspec)
                _print(_of_attempt(task, attempt), streams, is_one=part.task is not None)
        if is_over or (part.task is not None and shown):
            return
        time.sleep(_LOOK_EVERY_S)


def _of_attempt(task: Task, number: int | None) -> Task:
    if number is None or number == task.current_attempt:
        return task
    return type(task)(f"{task.namespace}/{task.pathspec}", attempt=number)


def _print(task: Task, streams: tuple[str, ...], *, is_one: bool) -> None:
    step, name = task.path_components[-2:]
    lead = "" if is_one else f"[{step}/{name}] "
    for stream in streams:
        for _, line in task.loglines(stream):
            click.echo(f"{lead}{line!s}", err=stream == "stderr")
