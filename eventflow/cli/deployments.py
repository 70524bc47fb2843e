"""`eventflow deployments`: what is live, and since which version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, print_rows, print_values, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from eventflow.model.deployment import Deployment
    from eventflow.model.timetable import Timetable
    from eventflow.model.trigger import Trigger

__all__ = ["command"]


@click.group("deployments")
def command() -> None:
    """Flows that are live in a namespace."""


@command.command("list")
@click.option("--all", "show_all", is_flag=True, help="Every version, deleted ones too.")
@as_json_option
def list_deployments(show_all: bool, as_json: bool) -> None:
    """The version in force of each deployment."""
    from eventflow import deploy

    world = existing_world()
    in_force, due = deploy.versions_in_force(world), deploy.next_due_times(world)
    rows = []
    for each in deploy.versions(world):
        is_in_force = in_force.get((each.namespace, each.flow)) == each.version
        rows.append({**_row(each, due if is_in_force else {}), "in_force": is_in_force})
    shown = [row for row in rows if show_all or row["in_force"]]
    columns = (
        *("flow", "namespace", "version", "in_force", "trigger", "next_due"),
        *("deployed_at", "deployed_by"),
    )
    print_rows(columns, shown, as_json=as_json)
    world.close()


@command.command("show")
@click.argument("flow")
@click.option("--version", type=int, help="Default: the latest.")
@as_json_option
def show(flow: str, version: int | None, as_json: bool) -> None:
    """One version, whole. FLOW is a name, or project/branch/Name."""
    from eventflow import deploy

    world = existing_world()
    found = deploy.find_version(world, flow, version)
    key = (found.namespace, found.flow)
    is_in_force = deploy.versions_in_force(world).get(key) == found.version
    row = _row(found, deploy.next_due_times(world) if is_in_force else {})
    row["code"] = found.code.digest
    row["steps"] = [node.name for node in found.graph.steps]
    row["parameters"] = {each.name: each.type.value for each in found.parameters}
    print_values(row, as_json=as_json)
    world.close()


@command.command("delete")
@click.argument("flow")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@as_json_option
def delete(flow: str, dry_run: bool, as_json: bool) -> None:
    """End new starts of a flow. FLOW is a name, or project/branch/Name.

    Requested runs go on; versions, runs and artifacts stay readable.
    """
    from eventflow import deploy
    from eventflow.model.namespace import Namespace

    world = existing_world()
    found = deploy.find_version(world, flow, None)
    if dry_run:
        would = {"would_delete": f"{found.namespace}/{found.flow}", "version": found.version}
        print_values(would, as_json=as_json)
        world.close()
        return
    deleted = deploy.delete(world, Namespace.parse(found.namespace), found.flow)
    print_values(
        {
            "deleted": f"{deleted.namespace}/{deleted.flow}",
            "from_offsets": [str(mark) for mark in deleted.marks],
            "in_force": deleted.is_in_force,
        },
        as_json=as_json,
    )
    world.close()


def _row(version: Deployment, due: Mapping[tuple[str, str], datetime]) -> dict[str, object]:
    due_at = due.get((version.namespace, version.flow))
    return {
        "flow": version.flow,
        "namespace": version.namespace,
        "version": version.version,
        "trigger": trigger_text(version.trigger, version.schedule),
        "next_due": time_text(due_at) if due_at else "",
        "deployed_at": time_text(version.deployed_at),
        "deployed_by": version.deployed_by,
    }


def trigger_text(trigger: Trigger | None, schedule: Timetable | None) -> str:
    """What starts a flow, in a few words."""
    said = []
    if trigger is not None:
        names = " and ".join(each.name for each in trigger.subscriptions)
        said.append(f"{trigger.source.value} {names}")
    if schedule is not None:
        said.append(f"schedule {schedule}")
    return ", ".join(said)
