"""Commands and options that Metaflow has and eventflow has not: what is written instead."""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GuidedCommand", "GuidedGroup"]

_DEPLOY = (
    "Make the flow live with `deploy`, and start it by hand with `trigger`; `eventflow"
    " deployments` and `eventflow runs` show what became of it, `eventflow cancel` ends a run."
)
_RUNNERS = (
    "Tasks run where their runner runs: start `eventflow runner` on the machines that shall have"
    " them."
)
_ONE_STEP = "`resume STEP` runs the flow anew from a step on, and `run` all of it."
_SETTING = "where runs are kept is a setting: EVENTFLOW_STORE__URL, or EVENTFLOW_HOME for a folder."
_OPEN = "leave it out: a deploy needs no token."
_NOT_HERE = "leave it out: there is nothing to choose."

_COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "argo-workflows": _DEPLOY,
        "step-functions": _DEPLOY,
        "airflow": _DEPLOY,
        "kubernetes": _RUNNERS,
        "batch": _RUNNERS,
        "spin": _ONE_STEP,
        "spin-step": _ONE_STEP,
        "step": _ONE_STEP,
        "init": _ONE_STEP,
        "package": "`deploy` makes the code package; its --package-suffixes names further files.",
        "server": "`card view` opens a card in the browser, `card get` writes it to a file.",
        "create": "A card is made by its task: write @card above the step, and run the flow.",
    }
)
_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--datastore": _SETTING,
        "--datastore-root": _SETTING,
        "--metadata": _SETTING,
        "--environment": "say the packages of a step with @pypi above it.",
        "--config": "this flow has no Config.",
        "--config-value": "this flow has no Config.",
        "--decospecs": "write --with.",
        "--trigger": "a run by hand has no trigger: deploy the flow and publish the event.",
        "--namespace": "write --branch or --production, before the command.",
        "--run-id": "the run gets an id; to go on from one write --origin-run-id.",
        "--authorize": _OPEN,
        "--new-token": _OPEN,
        "--generate-new-token": _OPEN,
        "--event-logger": _NOT_HERE,
        "--monitor": _NOT_HERE,
        "--pylint": _NOT_HERE,
        "--no-pylint": _NOT_HERE,
    }
)


class GuidedCommand(click.Command):
    """A command that says of an option of Metaflow's, which it has not, what to write instead."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As of every command.

        Raises:
            click.UsageError: an option is none.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _OPTIONS:
                raise
            hint = _OPTIONS[error.option_name]
            raise click.UsageError(f"No such option {error.option_name!r}: {hint}", ctx) from None


class GuidedGroup(GuidedCommand, click.Group):
    """A group that says the same of commands, and of others which of its own is meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As of every group.

        Raises:
            click.UsageError: the command is none.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"{error.message} {self._hint(ctx, args[0])}", ctx) from None

    def _hint(self, ctx: click.Context, word: str) -> str:
        if word in _COMMANDS:
            return _COMMANDS[word]
        commands = self.list_commands(ctx)
        near = get_close_matches(word, commands, 1)
        return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(commands)}."
