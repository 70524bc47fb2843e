"""`eventflow environments`: what was built on this machine for steps with packages of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from eventflow.cli.output import as_json_option, print_rows, time_text
from eventflow.errors import Ambiguous, EnvironmentInUse, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.execution.environments.removing import Standing

__all__ = ["command"]

_SHORT = 8


@click.group("environments")
def command() -> None:
    """The environments of packages that are built on this machine."""


@command.command("list")
@as_json_option
def list_environments(as_json: bool) -> None:
    """The environments, the one that was used longest ago first."""
    from eventflow import app
    from eventflow.execution.environments.removing import standing

    rows = [
        {
            "name": each.name if as_json else each.name[:_SHORT],
            "packages": list(each.packages) if as_json else ", ".join(each.packages),
            "python": each.python,
            "size": f"{each.size_bytes / 1e6:.0f} MB",
            "size_bytes": each.size_bytes,
            "built_at": each.built_at.isoformat() if as_json else time_text(each.built_at),
            "used_at": each.used_at.isoformat() if as_json else time_text(each.used_at),
            "is_used": each.is_used,
            "used": "now" if each.is_used else time_text(each.used_at),
        }
        for each in standing(app.connect().settings.folder / "cache")
    ]
    print_rows(("name", "packages", "python", "size", "used"), rows, as_json=as_json)


@command.command("remove")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--unused-for",
    "days",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="All that no task has used for so many days.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed; nothing is.")
def remove_environments(names: Sequence[str], days: float | None, dry_run: bool) -> None:
    """Remove environments, by the first characters of their names or by their last use.

    One that a task uses, or that is being built, stays. Who needs a removed one builds it anew.
    """
    from eventflow import app
    from eventflow.execution.environments import removing

    if bool(names) == (days is not None):
        raise click.UsageError("Name environments, or say --unused-for DAYS.")
    world = app.connect()
    cache = world.settings.folder / "cache"
    everything = removing.standing(cache)
    since = world.effects.clock.now() - timedelta(days=days) if days is not None else None
    if since is None:
        chosen = [_named(everything, name) for name in names]
    else:
        chosen = [each for each in everything if each.used_at <= since and not each.is_used]
    kept = []
    for each in chosen:
        title = f"{each.name[:_SHORT]}  {', '.join(each.packages)}"
        if dry_run:
            click.echo(f"would remove {title}")
        elif removing.remove(each, world.effects, since):
            click.echo(f"removed {title}")
        else:
            kept.append(each.name[:_SHORT])
    if not dry_run:
        removing.clean_up(cache)
    if kept and names:
        raise EnvironmentInUse(
            f"{', '.join(kept)}: a task uses it, or it is being built. Try again later."
        )


def _named(everything: Sequence[Standing], name: str) -> Standing:
    found = [each for each in everything if each.name.startswith(name)]
    if not found:
        raise NotFound(f"There is no environment {name}: `eventflow environments list` has them.")
    if len(found) > 1:
        raise Ambiguous(f"{name} fits several: {', '.join(each.name for each in found)}.")
    return found[0]
