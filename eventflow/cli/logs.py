"""`eventflow logs`: what the tasks of a run print, without the flow's file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.printed_logs import LogOptions, log_options, print_logs
from eventflow.errors import InvalidName

if TYPE_CHECKING:
    from eventflow.cli.flow_place import Part

__all__ = ["command"]

_LEAST, _MOST = 2, 4


@click.command("logs")
@click.argument("what", metavar="FLOW/RUN[/STEP[/TASK]]")
@click.option("--within", help="The project or project/branch to look for the run in.")
@log_options
def command(what: str, within: str | None, **options: Any) -> None:
    """Print what the tasks of a run, of a step, or one task printed, or have so far.

    It is read from the store: this need not be the machine that runs them. Some characters of a
    run's id are enough.
    """
    from eventflow import context
    from eventflow.client.scope import namespace

    world = existing_world()
    context.use(world)
    namespace(within)
    print_logs(_part(what), what, LogOptions(**options))
    world.close()


def _part(what: str) -> Part:
    from eventflow.cli.flow_place import Part
    from eventflow.client.run import Run

    parts = what.split("/")
    if not (_LEAST <= len(parts) <= _MOST and all(parts)):
        shape = "FLOW/RUN, FLOW/RUN/STEP, or FLOW/RUN/STEP/TASK"
        raise InvalidName(f"{what!r} names nothing here: it is written {shape}.")
    flow, run, step, task = (*parts, None, None)[:_MOST]
    return Part(Run(f"{flow}/{run}"), step, task)
