"""`eventflow publish`: an event from a shell."""

from __future__ import annotations

import json
from typing import Any

import click

from eventflow.cli.output import as_json_option, print_values

__all__ = ["command"]


@click.command("publish")
@click.argument("name")
@click.option("--project", help="Default: EVENTFLOW_PROJECT, else default.")
@click.option("--branch", help="prod, test.b, user.name, …; default: every branch of the project.")
@click.option("-p", "fields", multiple=True, metavar="KEY=VALUE", help="A field; JSON, else text.")
@click.option("--payload", help="The payload as a JSON object; -p adds to it.")
@click.option("--id", "event_id", help="Identifies the fact: repeats within the window are one.")
@click.option("--dry-run", is_flag=True, help="Say what would be published.")
@as_json_option
def command(
    name: str,
    *,
    project: str | None,
    branch: str | None,
    fields: tuple[str, ...],
    payload: str | None,
    event_id: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Publish an event; on return it is durable."""
    from eventflow.authoring.event import Event

    event = Event(
        name, payload=_payload(payload, fields), project=project, branch=branch, id=event_id
    )
    if dry_run:
        said = {"name": name, "namespace": event.namespace, "payload": event.payload}
        print_values(said, as_json=as_json)
        return
    published = event.publish()
    print_values(
        {
            "id": published.id,
            "name": name,
            "namespace": str(published.namespace),
            "offset": str(published.offset),
        },
        as_json=as_json,
    )


def _payload(text: str | None, fields: tuple[str, ...]) -> dict[str, Any]:
    try:
        payload = json.loads(text) if text else {}
    except ValueError as error:
        raise click.BadParameter(f"--payload is no JSON: {error}.") from error
    if not isinstance(payload, dict):
        raise click.BadParameter("--payload has to be a JSON object: {…}.")
    for each in fields:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.BadParameter(f"-p {each!r} is written key=value.")
        payload[key] = _value(value)
    return payload


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
