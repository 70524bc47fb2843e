"""`eventflow topics`: what the bus has to have."""

from __future__ import annotations

from contextlib import closing

import click

from eventflow.cli.output import as_json_option, print_rows

__all__ = ["command"]


@click.group("topics")
def command() -> None:
    """The topics of this installation."""


@command.command("ensure")
@click.option("--dry-run", is_flag=True, help="Check only; nothing is made.")
def ensure(dry_run: bool) -> None:
    """Make the topics that are missing, and check that the others are as they have to be."""
    from eventflow import app

    world = app.connect()
    with closing(app.make_bus(world.settings)) as bus:
        made = bus.ensure(world.topics.specs(), create=not dry_run)
    for name in made:
        click.echo(f"made {name}")
    click.echo(f"{len(world.topics.specs())} topics are as they have to be.")


@command.command("list")
@as_json_option
def list_topics(as_json: bool) -> None:
    """What each topic has to be."""
    from eventflow import app

    rows = (
        {
            "topic": spec.name,
            "partitions": spec.partitions,
            "cleanup": spec.cleanup.value,
            "retention": f"{spec.retention.days} days" if spec.retention else "for ever",
            "max_record_bytes": spec.max_record_bytes,
        }
        for spec in app.connect().topics.specs()
    )
    print_rows(("topic", "partitions", "cleanup", "retention"), rows, as_json=as_json)
