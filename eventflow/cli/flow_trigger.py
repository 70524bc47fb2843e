"""`python flow.py trigger`: a run of the deployed version of this flow, requested by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventflow.cli.flow_parameters import CommandWithParameters, given_parameters
from eventflow.cli.trigger import request_and_print

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.cli.flow_target import Target
    from eventflow.model.namespace import Namespace

__all__ = ["trigger_command"]


def trigger_command(flow_class: type) -> click.Command:
    """`trigger`, with an option for each parameter that the flow has in this file.

    What counts is the version in force: it checks the values, and fills in its own defaults. A
    file is read here, and put into the store.
    """

    @click.pass_obj
    def trigger(
        target: Target,
        /,
        run_id_file: str | None,
        *,
        as_json: bool,
        **given: str | None,
    ) -> None:
        namespace = target.namespace(is_deploy=True)
        name = f"{namespace}/{flow_class.__name__}"
        typed = given_parameters(flow_class, given)
        values = {**typed, **_files(target, namespace, typed)}
        request_and_print(target.world, name, values, run_id_file, dry_run=False, as_json=as_json)

    own: list[click.Parameter] = [
        click.Option(["--run-id-file"], help="Write the id of the run there."),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON document, in full."),
    ]
    return CommandWithParameters(
        flow_class,
        "trigger",
        callback=trigger,
        params=own,
        help="Request a run of the deployed version.",
    )


def _files(target: Target, namespace: Namespace, typed: Mapping[str, str]) -> dict[str, str]:
    """What stands for the files among the values, whose contents are in the store on return."""
    from eventflow.authoring.configs import resolved_parameters, with_configs
    from eventflow.authoring.include_file import IncludeFile
    from eventflow.authoring.included_files import read_files, store_files

    declared = resolved_parameters(target.flow_class).values()
    files = {each.name for each in declared if isinstance(each, IncludeFile)} & typed.keys()
    if not files:  # defaults are the deployment's, and need not be here
        return {}
    context = with_configs(target.flow_class, target.context(namespace))
    contents = read_files(target.flow_class, context, typed)
    given = {name: contents[name] for name in sorted(files)}
    return store_files(target.world.store, namespace.project, given)
