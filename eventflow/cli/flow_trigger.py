"""`python flow.py trigger`: a run of the deployed version of this flow, requested by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventflow.cli.flow_parameters import CommandWithParameters, given_parameters
from eventflow.cli.trigger import request_and_print

if TYPE_CHECKING:
    from eventflow.cli.flow_target import Target

__all__ = ["trigger_command"]


def trigger_command(flow_class: type) -> click.Command:
    """`trigger`, with an option for each parameter that the flow has in this file.

    What counts is the version in force: it checks the values, says how a file is read, and fills
    in its own defaults.
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
        request_and_print(target.world, name, typed, run_id_file, dry_run=False, as_json=as_json)

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
