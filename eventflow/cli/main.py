"""`eventflow`: the commands, each imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from eventflow.errors import EventflowError

__all__ = ["main"]

_COMMANDS = {
    "cancel": "eventflow.cli.cancel",
    "dead-letters": "eventflow.cli.dead_letters",
    "deployments": "eventflow.cli.deployments",
    "environments": "eventflow.cli.environments",
    "lineage": "eventflow.cli.lineage",
    "logs": "eventflow.cli.logs",
    "publish": "eventflow.cli.publish",
    "runner": "eventflow.cli.runner",
    "runs": "eventflow.cli.runs",
    "tail": "eventflow.cli.tail",
    "topics": "eventflow.cli.topics",
    "trigger": "eventflow.cli.trigger",
    "trigger-service": "eventflow.cli.trigger_service",
    "up": "eventflow.cli.up",
}


class _Commands(click.Group):
    """Finds a command by the name of its module; `--help` imports them all, nothing else does."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eventflow")
def cli() -> None:
    """Start, chain and trace flows by events.

    Settings come from EVENTFLOW_… variables; without any, everything is embedded: a durable log
    and a store in the folder .eventflow. Exit codes: 1 a failure, 2 the input is wrong, 3 not
    found, 4 another deploy took over, 5 settings or servers, 6 try again.
    """


def main() -> None:
    """Run the command line; errors of eventflow are one message and an exit code."""
    run(cli)


def run(command: click.Command) -> None:
    """Run a command of click's as the whole program."""
    try:
        command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except EventflowError as error:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
