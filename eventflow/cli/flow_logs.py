"""`python flow.py logs`: what tasks print, and printed, from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.flow_place import look, part_of
from eventflow.cli.printed_logs import LogOptions, log_options, print_logs

if TYPE_CHECKING:
    from eventflow.cli.flow_target import Target

__all__ = ["command"]


@click.command("logs")
@click.argument("words", metavar="[show] RUN[/STEP[/TASK]]", nargs=-1, required=True)
@log_options
@click.pass_obj
def command(target: Target, /, words: tuple[str, ...], **options: Any) -> None:
    """Print what the tasks of a run, of a step, or one task printed.

    Of a task at work, what it has printed so far. Of several, each line has its step and task
    before it, and the attempt where it is not the first.
    """
    world = look(target)
    named = _named(words)
    print_logs(part_of(target, named), named, LogOptions(**options))
    world.close()


def _named(words: tuple[str, ...]) -> str:
    """What is named behind the word `show`, which Metaflow asks for."""
    named = words[1:] if words[0] == "show" else words
    if len(named) != 1:
        raise click.UsageError("Name one: logs RUN, logs RUN/STEP, or logs RUN/STEP/TASK.")
    return named[0]
