"""`python flow.py …`: the command line of one flow, run by `MyFlow()` at the end of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventflow.authoring.graph import graph_of
from eventflow.cli import flow_about, flow_dump, flow_logs, flow_tag
from eventflow.cli.flow_options import options, takes_with
from eventflow.cli.flow_parameters import config_options, take_configs
from eventflow.cli.flow_run import resume_command, run_command
from eventflow.cli.flow_target import Target
from eventflow.cli.flow_trigger import trigger_command
from eventflow.cli.guiding import GuidedCommand, GuidedGroup
from eventflow.cli.output import as_json_option, print_values
from eventflow.model.graph import StepKind

if TYPE_CHECKING:
    from eventflow.model.graph import StepNode

__all__ = ["main"]


def main(flow_class: type) -> None:
    """Run the command line of a flow as the whole program."""
    from eventflow.cli.main import run

    run(_command_line(flow_class))


def _command_line(flow_class: type) -> click.Group:
    @click.group(
        flow_class.__name__,
        cls=GuidedGroup,
        help=(flow_class.__doc__ or "").strip() or None,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.option("--branch", help="The branch test.BRANCH, or prod.BRANCH with --production.")
    @click.option("--production", "is_production", is_flag=True, help="The branch prod.")
    @takes_with
    @click.pass_context
    def flow(
        context: click.Context,
        /,
        branch: str | None,
        is_production: bool,
        added: tuple[str, ...],
        **configs: Any,
    ) -> None:
        take_configs(flow_class, **configs)
        context.obj = Target(flow_class, branch, is_production, added)
        if context.invoked_subcommand is None:
            context.invoke(check)

    from eventflow.cli.flow_card import card

    flow.params += config_options(flow_class)
    for command in (check, show, run_command(flow_class), resume_command(), deploy, card):
        flow.add_command(command)
    for command in (options, trigger_command(flow_class)):
        flow.add_command(command)
    for further in (flow_dump.command, flow_logs.command, flow_tag.command, *flow_about.COMMANDS):
        flow.add_command(further)
    return flow


@click.command("check")
@click.pass_obj
def check(target: Target) -> None:
    """Look for mistakes; nothing runs. The default command."""
    target.check(is_deploy=True)
    graph = graph_of(target.flow_class)
    click.echo(f"{graph.flow} is in order: {len(graph.steps)} steps.")


@click.command("show")
@as_json_option
@click.pass_obj
def show(target: Target, as_json: bool) -> None:
    """Print the steps."""
    graph = target.graph()
    if as_json:
        from eventflow.store.graphs import graph_to_json

        print_values(graph_to_json(graph), as_json=True)
        return
    click.echo(f"{graph.flow}\n{_indented(graph.doc)}".rstrip())
    for node in graph.steps:
        join = " (joins)" if node.is_join else ""
        after = f" → {', '.join(_following(node))}" if node.next_steps else ""
        click.echo(f"\n  {node.name}{join}{after}")
        if node.doc:
            click.echo(_indented(node.doc))


def _following(node: StepNode) -> list[str]:
    """The steps that follow, with what leads to each."""
    if node.kind is StepKind.SWITCH:
        cases = zip(node.cases, node.next_steps, strict=True)
        return [f"{step} if {node.condition} is {case}" for case, step in cases]
    if node.kind is StepKind.FOREACH:
        return [f"{step} for each of {node.foreach}" for step in node.next_steps]
    return list(node.next_steps)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


@click.command("deploy", cls=GuidedCommand)
@click.option("--dry-run", is_flag=True, help="Say what would be deployed.")
@click.option("--package-suffixes", default="", help="Further files to package: .csv,.sql")
@click.option("--tag", "tags", multiple=True, help="A tag of each run of it; repeatable.")
@takes_with
@as_json_option
@click.pass_obj
def deploy(
    target: Target,
    dry_run: bool,
    package_suffixes: str,
    tags: tuple[str, ...],
    as_json: bool,
    added: tuple[str, ...],
) -> None:
    """Make this version live: from its mark on, events start it."""
    from eventflow import deploy as deploying
    from eventflow.authoring.added_decorators import parse_with
    from eventflow.cli.deployments import trigger_text

    target.check(is_deploy=True)
    suffixes = tuple(each for each in package_suffixes.split(",") if each)
    new, archive = deploying.evaluate(
        target.world,
        target.flow_class,
        target.file,
        target.context(target.namespace(is_deploy=True)),
        suffixes,
        tags,
        added=[parse_with(each) for each in (*target.added, *added)],
    )
    trigger = trigger_text(new.trigger, new.schedule) or "none: it is started by hand"
    if dry_run:
        said = {"flow": new.graph.flow, "namespace": str(new.namespace), "code": new.code.digest}
        print_values({**said, "trigger": trigger}, as_json=as_json)
        return
    deployed = deploying.deploy(target.world, new, archive)
    print_values(
        {
            "flow": deployed.flow,
            "namespace": deployed.namespace,
            "version": deployed.version,
            "trigger": trigger,
            "from_offsets": [str(mark) for mark in deployed.marks],
            "in_force": deployed.is_in_force,
        },
        as_json=as_json,
    )
    if not deployed.is_in_force and not as_json:
        click.echo("No trigger service has passed the mark yet; the version counts from there.")
    target.world.close()
