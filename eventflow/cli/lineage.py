"""`eventflow lineage`: what led here, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.lineage.node import Node

__all__ = ["command"]

_SHORT_ID = 8


@click.command("lineage")
@click.argument("target")
@click.option("--up", "direction", flag_value="up", help="Only what led to it.")
@click.option("--down", "direction", flag_value="down", help="Only what came of it.")
@click.option("--within", help="The project or project/branch to look for a run in.")
@click.option("--depth", type=click.IntRange(1), default=10, show_default=True, help="In runs.")
@as_json_option
def command(
    target: str, direction: str | None, within: str | None, depth: int, *, as_json: bool
) -> None:
    """Trace TARGET up to the offsets that caused it, and down to all that it caused.

    TARGET is an event (topic/partition/offset), a run (Flow/run) or an artifact
    (Flow/run/step/task/name), the last two with project/branch/ before them where a flow lives
    in several namespaces. Six characters of a run's id are enough.
    """
    from eventflow.lineage import downstream, upstream

    store = existing_world().store
    trees: dict[str, Node] = {}
    if direction != "down":
        trees["upstream"] = upstream(target, store, within=within, depth=depth)
    if direction != "up":
        trees["downstream"] = downstream(target, store, within=within, depth=depth)
    if as_json:
        click.echo(json.dumps({name: _document(node) for name, node in trees.items()}))
        return
    for name, node in trees.items():
        click.echo(f"{name}:")
        for line in _lines(node, "", ""):
            click.echo(f"  {line}")


def _document(node: Node) -> dict[str, Any]:
    return {
        "kind": node.kind.value,
        "name": node.name,
        "label": node.label,
        "at": node.at.isoformat() if node.at else None,
        "has_more": node.has_more,
        "children": [_document(each) for each in node.children],
    }


def _lines(node: Node, lead: str, below: str) -> Iterator[str]:
    at = f"  {time_text(node.at)}" if node.at else ""
    more = "  …" if node.has_more else ""
    yield f"{lead}{node.kind.value} {node.name}  {node.label}".rstrip() + at + more
    for place, each in enumerate(node.children, 1):
        is_last = place == len(node.children)
        corner, bar = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        yield from _lines(each, below + corner, below + bar)
