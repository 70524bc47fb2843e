"""What programs that start `python flow.py …` need: what it takes, and which run has begun."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventflow.authoring.graph import check as problems_of
from eventflow.authoring.graph import graph_of
from eventflow.errors import InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.model.run import RunRequest

__all__ = ["Beginning", "attribute_file_option", "options", "takes_with", "with_option"]


_WITH: Any = {
    "multiple": True,
    "metavar": "DECORATOR[:NAME=VALUE,…]",
    "help": "A decorator for each step that has none of its name; repeatable.",
}


@click.command("options")
@click.pass_context
def options(context: click.Context) -> None:
    """Print as JSON what each command takes: for programs, such as Runner."""
    flow_class = context.obj.flow_class
    problems = problems_of(flow_class)
    if problems:
        raise InvalidFlow(problems)
    assert context.parent is not None
    group = context.parent.command
    assert isinstance(group, click.Group)
    said = {
        "flow": graph_of(flow_class).flow,
        "options": [_said(each) for each in group.params],
        "commands": {
            name: [_said(each) for each in command.get_params(click.Context(command))]
            for name, command in sorted(group.commands.items())
        },
    }
    click.echo(json.dumps(said))


def attribute_file_option() -> click.Option:
    """`--runner-attribute-file`, of commands that begin a run."""
    return click.Option(
        ["--runner-attribute-file"],
        help="Once the run has begun, write there as JSON which it is: for programs.",
    )


def takes_with(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--with`: decorators for each step that has none of the name, as `added`."""
    return click.option("--with", "added", **_WITH)(command)


def with_option() -> click.Option:
    """The same, of a command that has a list of options."""
    return click.Option(["--with", "added"], **_WITH)


class Beginning:
    """Tells programs, once, which run has begun: call it when the run can be read."""

    def __init__(self, file: str | None, request: RunRequest, store: str) -> None:
        """`file` is where it is told, if anywhere; `store` where the run can be read."""
        self._file = file
        self._said = {
            "flow_name": request.flow,
            "run_id": request.run_id,
            "namespace": request.namespace,
            "store": store,
        }

    def tell(self) -> None:
        """Write the file, unless it is written. Readers see all of it or none."""
        file, self._file = self._file, None
        if file is not None:
            unfinished = Path(f"{file}.{os.getpid()}")
            unfinished.write_text(json.dumps(self._said), encoding="utf-8")
            unfinished.replace(file)


def _said(parameter: click.Parameter) -> dict[str, object]:
    return {
        "name": parameter.name,
        "opts": parameter.opts,
        "secondary_opts": parameter.secondary_opts,
        "is_option": isinstance(parameter, click.Option),
        "is_flag": isinstance(parameter, click.Option) and parameter.is_flag,
        "nargs": parameter.nargs,
        "multiple": parameter.multiple if isinstance(parameter, click.Option) else False,
    }
