"""`python flow.py …`: the command line of one flow, run by `MyFlow()` at the end of its file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eventflow.authoring.graph import check as problems_of
from eventflow.authoring.graph import graph_of
from eventflow.authoring.project import namespace_of
from eventflow.cli import flow_about, flow_dump, flow_logs, flow_tag
from eventflow.cli.output import as_json_option, print_values
from eventflow.errors import InvalidFlow

if TYPE_CHECKING:
    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.context import World
    from eventflow.execution.driver import RunLimits
    from eventflow.model.deployment import ParameterSpec
    from eventflow.model.graph import FlowGraph
    from eventflow.model.namespace import Namespace
    from eventflow.model.task import RunPlan, TaskKey

__all__ = ["main"]

_FAILED = 1


def main(flow_class: type) -> None:
    """Run the command line of a flow as the whole program."""
    from eventflow.cli.main import run

    run(_command_line(flow_class))


@dataclass(frozen=True)
class _Target:
    """The flow, and where its options put it."""

    flow_class: type
    branch: str | None
    is_production: bool

    @cached_property
    def world(self) -> World:
        from eventflow import app, context

        world = app.connect()
        context.use(world)
        return world

    @property
    def file(self) -> Path:
        module = sys.modules[self.flow_class.__module__]
        return Path(module.__file__ or "").resolve()

    @cached_property
    def user(self) -> str:
        from eventflow.settings import user_name

        return user_name(self.world.settings)

    def namespace(self, *, is_deploy: bool) -> Namespace:
        return namespace_of(
            self.flow_class,
            branch=self.branch,
            is_production=self.is_production,
            user=self.user,
            is_deploy=is_deploy,
        )

    def context(self, namespace: Namespace) -> DeployContext:
        from eventflow.authoring.deploy_context import DeployContext

        return DeployContext(self.flow_class.__name__, self.user, str(namespace))

    def parameters(self, namespace: Namespace) -> tuple[ParameterSpec, ...]:
        from eventflow.authoring.parameters import parameter_specs

        return parameter_specs(self.flow_class, self.context(namespace))


def _command_line(flow_class: type) -> click.Group:
    @click.group(
        flow_class.__name__,
        help=(flow_class.__doc__ or "").strip() or None,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.option("--branch", help="The branch test.BRANCH, or prod.BRANCH with --production.")
    @click.option("--production", "is_production", is_flag=True, help="The branch prod.")
    @click.pass_context
    def flow(context: click.Context, branch: str | None, is_production: bool) -> None:
        context.obj = _Target(flow_class, branch, is_production)
        if context.invoked_subcommand is None:
            context.invoke(check)

    for command in (check, show, _run_command(flow_class), deploy):
        flow.add_command(command)
    for further in (flow_dump.command, flow_logs.command, flow_tag.command, *flow_about.COMMANDS):
        flow.add_command(further)
    return flow


@click.command("check")
@click.pass_obj
def check(target: _Target) -> None:
    """Look for mistakes; nothing runs. The default command."""
    _check(target, is_deploy=False)
    graph = graph_of(target.flow_class)
    click.echo(f"{graph.flow} is in order: {len(graph.steps)} steps.")


@click.command("show")
@as_json_option
@click.pass_obj
def show(target: _Target, as_json: bool) -> None:
    """Print the steps."""
    graph = graph_of(target.flow_class)
    if as_json:
        from eventflow.store.graphs import graph_to_json

        print_values(graph_to_json(graph), as_json=True)
        return
    click.echo(f"{graph.flow}\n{_indented(graph.doc)}".rstrip())
    for node in graph.steps:
        join = " (joins)" if node.is_join else ""
        after = f" → {', '.join(node.next_steps)}" if node.next_steps else ""
        click.echo(f"\n  {node.name}{join}{after}")
        if node.doc:
            click.echo(_indented(node.doc))


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


@click.command("deploy")
@click.option("--dry-run", is_flag=True, help="Say what would be deployed.")
@click.option("--package-suffixes", default="", help="Further files to package: .csv,.sql")
@click.option("--tag", "tags", multiple=True, help="A tag of each run of it; repeatable.")
@as_json_option
@click.pass_obj
def deploy(
    target: _Target, dry_run: bool, package_suffixes: str, tags: tuple[str, ...], as_json: bool
) -> None:
    """Make this version live: from its mark on, events start it."""
    from eventflow import deploy as deploying
    from eventflow.cli.deployments import trigger_text

    _check(target, is_deploy=True)
    suffixes = tuple(each for each in package_suffixes.split(",") if each)
    new, archive = deploying.evaluate(
        target.world,
        target.flow_class,
        target.file,
        target.context(target.namespace(is_deploy=True)),
        suffixes,
        tags,
    )
    trigger = trigger_text(new.trigger) or "none: it is started by hand"
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


def _run_command(flow_class: type) -> click.Command:
    """`run`, with an option for each parameter."""

    from eventflow.authoring.parameters import text_values
    from eventflow.model.tags import check_tags

    @click.pass_obj
    def run(
        target: _Target,
        /,
        run_id_file: str | None,
        tags: tuple[str, ...],
        max_workers: int | None,
        max_num_splits: int | None,
        **given: str | None,
    ) -> None:
        from eventflow.execution.driver import RunLimits

        _check(target, is_deploy=False)
        namespace = target.namespace(is_deploy=False)
        specs = target.parameters(namespace)
        names = {_option_name(spec.name): spec.name for spec in specs}
        values = {names[key]: text for key, text in given.items() if text is not None}
        settings = target.world.settings.runner
        limits = RunLimits(
            max_workers or settings.max_workers, max_num_splits or settings.max_num_splits
        )
        plan = _plan(target, namespace, text_values(specs, values), check_tags(tags))
        _execute(target, plan, run_id_file, limits)

    options: list[click.Parameter] = [
        click.Option(["--run-id-file"], help="Write the id of the run there."),
        click.Option(["--tag", "tags"], multiple=True, help="A tag of the run; repeatable."),
        click.Option(
            ["--max-workers"], type=click.IntRange(1), help="Tasks at work at once. Default: 16."
        ),
        click.Option(
            ["--max-num-splits"],
            type=click.IntRange(1),
            help="Tasks that one foreach may open. Default: 10000.",
        ),
    ]
    if not problems_of(flow_class):
        options += _parameter_options(flow_class)
    return click.Command(
        "run", callback=run, params=options, help="Run it here, now; no bus is needed."
    )


def _parameter_options(flow_class: type) -> list[click.Parameter]:
    from eventflow.authoring.members import parameters_of

    return [
        click.Option(
            [_option_name(each.name), f"--{each.name}"],
            help=each.help + (" (required)" if each.is_required else ""),
            metavar=each.type.value.upper() if each.type else None,
        )
        for each in parameters_of(flow_class).values()
    ]


def _option_name(parameter: str) -> str:
    return "parameter_" + parameter.replace("-", "_")


def _execute(target: _Target, plan: RunPlan, run_id_file: str | None, limits: RunLimits) -> None:
    from eventflow import app
    from eventflow.execution.by_hand import run_by_hand
    from eventflow.model.completion import Outcome

    run_id = plan.request.run_id
    click.echo(f"{plan.request.flow}/{run_id[:8]} in {plan.request.namespace} begins.")
    if run_id_file:
        Path(run_id_file).write_text(run_id)
    world = target.world
    executor = app.local_executor(world)
    try:
        end = run_by_hand(
            plan, executor, world.store, world.effects, on_line=_print_line, limits=limits
        )
    finally:
        executor.close()
        world.close()
    reason = f": {end.reason}" if end.reason else "."
    click.echo(f"{plan.request.flow}/{run_id[:8]} {end.outcome.value}{reason}")
    if end.outcome is not Outcome.SUCCEEDED:
        sys.exit(130 if end.outcome is Outcome.CANCELLED else _FAILED)


def _plan(
    target: _Target, namespace: Namespace, parameters: dict[str, str], tags: tuple[str, ...]
) -> RunPlan:
    from eventflow.authoring.own_tags import own_tags
    from eventflow.model.run import RunRequest, hand_run_id
    from eventflow.model.task import RunPlan

    graph: FlowGraph = graph_of(target.flow_class)
    effects = target.world.effects
    now = effects.clock.now()
    request = RunRequest(
        run_id=hand_run_id(now, effects.ids.token()),
        namespace=str(namespace),
        flow=graph.flow,
        version=0,
        parameters=parameters,
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=now,
        tags=tags,
        system_tags=own_tags(target.user),
    )
    return RunPlan(request, graph, str(target.file.parent), target.file.name, epoch=1)


def _check(target: _Target, *, is_deploy: bool) -> None:
    problems = list(problems_of(target.flow_class))
    if is_deploy:
        from eventflow.authoring.triggers import trigger_problems

        problems += trigger_problems(target.flow_class)
    if problems:
        raise InvalidFlow(problems)


def _print_line(key: TaskKey, stream: str, line: str) -> None:
    click.echo(f"[{key.step}] {line}", err=stream == "stderr")
