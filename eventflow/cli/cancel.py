"""`eventflow cancel`: a requested run ends before its time."""

from __future__ import annotations

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, print_values

__all__ = ["command"]


@click.command("cancel")
@click.argument("run")
@click.option("--dry-run", is_flag=True, help="Say what would be cancelled.")
@as_json_option
def command(run: str, dry_run: bool, as_json: bool) -> None:
    """Have a requested run end as cancelled. RUN is Flow/run, or project/branch/Flow/run.

    On return that is durable; a runner sees to it. A run that has ended stays as it is.
    """
    from eventflow import requesting

    world = existing_world()
    place = requesting.find_requested(world, run)
    if not dry_run:
        requesting.cancel_run(world, place)
    verb = "would_cancel" if dry_run else "cancels"
    said = {verb: f"{place.flow}/{place.run_id}", "namespace": place.namespace}
    print_values(said, as_json=as_json)
    world.close()
