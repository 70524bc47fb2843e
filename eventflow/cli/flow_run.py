"""`python flow.py run` and `resume`: a run by hand, here and now."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventflow.authoring.graph import graph_of
from eventflow.cli.flow_options import Beginning, attribute_file_option, with_option
from eventflow.cli.flow_parameters import CommandWithParameters, given_parameters
from eventflow.cli.flow_target import Target
from eventflow.cli.guiding import GuidedCommand

if TYPE_CHECKING:
    from eventflow.execution.cloning import Origin
    from eventflow.execution.driver import RunLimits
    from eventflow.model.run import RunRequest, TaskState
    from eventflow.model.task import RunPlan
    from eventflow.store.layout import RunPlace

__all__ = ["resume_command", "run_command"]

_FAILED, _CANCELLED = 1, 130


@dataclass(frozen=True, slots=True)
class _Options:
    """What a command says of the run that it begins, besides its parameters."""

    run_id_file: str | None
    runner_attribute_file: str | None
    tags: tuple[str, ...]
    added: tuple[str, ...]
    max_workers: int | None
    max_num_splits: int | None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> _Options:
        """Takes its own out of all that was given."""
        return cls(**{each.name: given.pop(each.name) for each in fields(cls)})

    def limits(self, target: Target) -> RunLimits:
        """As given, else as set."""
        from eventflow.execution.driver import RunLimits

        settings = target.world.settings.runner
        return RunLimits(
            self.max_workers or settings.max_workers,
            self.max_num_splits or settings.max_num_splits,
        )


def run_command(flow_class: type) -> click.Command:
    """`run`, with an option for each parameter."""

    @click.pass_obj
    def run(target: Target, /, **given: Any) -> None:
        options = _Options.taken_from(given)
        target.check(is_deploy=False)
        values = given_parameters(flow_class, given)
        namespace = target.namespace(is_deploy=False)
        plan = _plan(target, target.parameters(namespace, values), options)
        _execute(target, plan, options)

    return CommandWithParameters(
        flow_class,
        "run",
        callback=run,
        params=_own_options(),
        help="Run it here, now; no bus is needed.",
    )


def resume_command() -> click.Command:
    """`resume`, whose parameters are those of the run that it goes on from."""

    @click.pass_obj
    def resume(
        target: Target, /, step: str | None, origin_run_id: str | None, **given: Any
    ) -> None:
        from eventflow.execution.cloning import Origin
        from eventflow.store.runs import read_run

        options = _Options.taken_from(given)
        place = _origin(target, origin_run_id)
        request = read_run(target.world.store, place).request
        target.use_configs_of(request)
        target.check(is_deploy=False)
        steps = [each.name for each in graph_of(target.flow_class).steps]
        if step is not None and step not in steps:
            there = f"the flow has no step {step!r}; it has: {', '.join(steps)}"
            raise click.BadParameter(there, param_hint="STEP")
        plan = _plan(target, dict(request.parameters), options, request)
        _execute(target, plan, options, Origin(place, step))

    return GuidedCommand(
        "resume",
        callback=resume,
        params=[
            click.Argument(["step"], required=False),
            click.Option(
                ["--origin-run-id"],
                help="The run to go on from, its id or the beginning of it. Default: the latest.",
            ),
            *_own_options(),
        ],
        help="Begin a run that takes over what another has finished, and does the rest: from STEP"
        " on, or what is missing.",
    )


def _own_options() -> list[click.Parameter]:
    return [
        click.Option(["--run-id-file"], help="Write the id of the run there."),
        attribute_file_option(),
        click.Option(["--tag", "tags"], multiple=True, help="A tag of the run; repeatable."),
        with_option(),
        click.Option(
            ["--max-workers"], type=click.IntRange(1), help="Tasks at work at once. Default: 16."
        ),
        click.Option(
            ["--max-num-splits"],
            type=click.IntRange(1),
            help="Tasks that one foreach may open. Default: 10000.",
        ),
    ]


def _origin(target: Target, run_id: str | None) -> RunPlace:
    """The run to go on from: the latest in the namespace of the options, or that of this id."""
    from eventflow.client.flow import Flow
    from eventflow.client.scope import locate_run
    from eventflow.errors import NotFound

    namespace, flow = target.namespace(is_deploy=False), target.flow_class.__name__
    if run_id is None:
        latest = Flow(f"{namespace}/{flow}").latest_run
        if latest is None:
            raise NotFound(f"{flow} has not run in {namespace} yet: there is nothing to resume.")
        run_id = latest.id
    # `eventflow runs`, for one, shows runs with the name of the flow.
    own = run_id.removeprefix(f"{namespace}/").removeprefix(f"{flow}/")
    if "/" in own:
        raise NotFound(f"{run_id} is no run of {flow} in {namespace}.")
    place, _ = locate_run(f"{namespace}/{flow}/{own}")
    return place


def _plan(
    target: Target,
    parameters: dict[str, str],
    options: _Options,
    origin: RunRequest | None = None,
) -> RunPlan:
    from eventflow.authoring.own_tags import own_tags
    from eventflow.model.run import RunRequest, hand_run_id
    from eventflow.model.tags import check_tags
    from eventflow.model.task import RunPlan

    graph = target.graph(options.added)
    effects = target.world.effects
    now = effects.clock.now()
    request = RunRequest(
        run_id=hand_run_id(now, effects.ids.token()),
        namespace=str(target.namespace(is_deploy=False)),
        flow=graph.flow,
        version=0,
        parameters=parameters,
        causes=origin.causes if origin else (),
        causes_digest=origin.causes_digest if origin else None,
        roots=origin.roots if origin else (),
        hops=origin.hops if origin else 0,
        requested_at=now,
        origin=origin.run_id if origin else None,
        tags=check_tags(options.tags),
        system_tags=own_tags(target.user),
    )
    return RunPlan(request, graph, str(target.file.parent), target.file.name, epoch=1)


def _execute(
    target: Target, plan: RunPlan, options: _Options, origin: Origin | None = None
) -> None:
    from eventflow import app
    from eventflow.cli.run_views import view_of
    from eventflow.execution.by_hand import run_by_hand
    from eventflow.model.completion import Outcome

    request, world = plan.request, target.world
    name = f"{request.flow}/{request.run_id[:8]}"
    resumed = f", resumed from {request.origin[:8]}" if request.origin else ""
    click.echo(f"{name} in {request.namespace} begins{resumed}.")
    if options.run_id_file:
        Path(options.run_id_file).write_text(request.run_id)
    beginning = Beginning(options.runner_attribute_file, request, world.store.url)
    executor = app.local_executor(world)
    try:
        with view_of(plan.graph) as view:

            def note(state: TaskState) -> None:
                beginning.tell()
                view.on_task_state(state)

            end = run_by_hand(
                plan,
                executor,
                world.store,
                world.effects,
                on_line=view.on_line,
                limits=options.limits(target),
                origin=origin,
                on_task_state=note,
            )
        beginning.tell()  # a run of which nothing was left to do has started no task
    finally:
        executor.close()
        world.close()
    reason = f": {end.reason}" if end.reason else "."
    click.echo(f"{name} {end.outcome.value}{reason}")
    if end.outcome is not Outcome.SUCCEEDED:
        sys.exit(_CANCELLED if end.outcome is Outcome.CANCELLED else _FAILED)
