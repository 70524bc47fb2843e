"""`python flow.py output-dot | output-raw | version | help`: what is known without running."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from eventflow.authoring.graph import graph_of
from eventflow.store.graphs import graph_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.cli.flow_target import Target
    from eventflow.model.graph import FlowGraph

__all__ = ["COMMANDS"]


@click.command("output-dot")
@click.pass_obj
def output_dot(target: Target) -> None:
    """Print the graph in the language of Graphviz."""
    for line in _dot(graph_of(target.flow_class)):
        click.echo(line)


def _dot(graph: FlowGraph) -> Iterator[str]:
    yield f"digraph {json.dumps(graph.flow)} {{"
    yield "  rankdir=LR;"
    for node in graph.steps:
        shape = "trapezium" if node.is_join else "box"
        yield f"  {json.dumps(node.name)} [shape={shape}];"
    for node in graph.steps:
        cases = [json.loads(case) for case in node.cases]
        for number, following in enumerate(node.next_steps):
            said = cases[number] if cases else node.foreach
            label = "" if said is None else f" [label={json.dumps(str(said))}]"
            yield f"  {json.dumps(node.name)} -> {json.dumps(following)}{label};"
    yield "}"


@click.command("output-raw")
@click.option("--json", "as_json", is_flag=True, help="In one line.")
@click.pass_obj
def output_raw(target: Target, as_json: bool) -> None:
    """Print the graph as eventflow has it, as JSON."""
    content = graph_to_json(graph_of(target.flow_class))
    click.echo(json.dumps(content, indent=None if as_json else 2))


@click.command("version")
def version() -> None:
    """Print the version of eventflow."""
    from importlib.metadata import version

    click.echo(f"eventflow {version('eventflow')}")


@click.command("help")
@click.pass_context
def help_(context: click.Context) -> None:
    """Print what commands there are."""
    assert context.parent is not None
    click.echo(context.parent.get_help())


COMMANDS = (output_dot, output_raw, version, help_)
