"""`eventflow trigger`: a run of a deployed flow, requested by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, print_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.context import World

__all__ = ["command", "request_and_print"]


@click.command("trigger")
@click.argument("flow")
@click.option("-p", "fields", multiple=True, metavar="NAME=VALUE", help="A parameter of the run.")
@click.option("--run-id-file", help="Write the id of the run there.")
@click.option("--dry-run", is_flag=True, help="Say what would be requested.")
@as_json_option
def command(
    flow: str, fields: tuple[str, ...], run_id_file: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Request a run of a deployed flow. FLOW is a name, or project/branch/Name.

    It takes the version in force; on return the request is durable. The value of an IncludeFile is
    a path: the file is read here.
    """
    world = existing_world()
    given = dict(_given(each) for each in fields)
    request_and_print(world, flow, given, run_id_file, dry_run=dry_run, as_json=as_json)


def request_and_print(
    world: World,
    name: str,
    given: Mapping[str, str],
    run_id_file: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Request a run of the version in force, and say which it is."""
    from eventflow import requesting

    version = requesting.find_in_force(world, name)
    request = requesting.new_request(world, version, given, keeps_files=not dry_run)
    said = {"flow": request.flow, "namespace": request.namespace, "version": request.version}
    if dry_run:
        print_values({**said, "parameters": request.parameters}, as_json=as_json)
    else:
        requesting.request_run(world, request)
        if run_id_file:
            Path(run_id_file).write_text(request.run_id)
        print_values({**said, "run_id": request.run_id}, as_json=as_json)
    world.close()


def _given(field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not equals:
        raise click.BadParameter(f"-p {field!r} is written name=value.")
    return name, value
