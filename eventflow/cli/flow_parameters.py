"""The options of a flow's command line that its parameters and configurations are given with."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from eventflow.authoring.config import ConfigDeclaration
from eventflow.authoring.configs import give_configs, resolved_parameters
from eventflow.authoring.graph import check as problems_of
from eventflow.authoring.members import configs_of
from eventflow.cli.guiding import GuidedCommand
from eventflow.errors import InvalidFlow, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventflow.authoring.parameter import Parameter

__all__ = [
    "CommandWithParameters",
    "config_options",
    "given_parameters",
    "take_configs",
    "variable_of",
]

_PATHS_VARIABLE = "EVENTFLOW_FLOW_CONFIG"
_VALUES_VARIABLE = "EVENTFLOW_FLOW_CONFIG_VALUE"


class CommandWithParameters(GuidedCommand):
    """A command with an option for each parameter of its flow.

    What is said of parameters may hang on configurations, so the options are made when the ones
    of the flow have been read.
    """

    def __init__(self, flow_class: type, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._flow_class = flow_class
        self._of_parameters: list[click.Parameter] | None = None

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """As of every command; the options of parameters stand before `--help`.

        Raises:
            InvalidFlow: the flow has mistakes, and its parameters may be among them.
        """
        if self._of_parameters is None:
            if problems := problems_of(self._flow_class):
                raise InvalidFlow(problems)
            self._of_parameters = list(map(_option, _given(self._flow_class)))
        *own, of_help = super().get_params(ctx)
        return [*own, *self._of_parameters, of_help]


def given_parameters(flow_class: type, values: Mapping[str, str | None]) -> dict[str, str]:
    """What was typed, or set in the environment, by parameter, of all the values of a command."""
    names = {_key(each.name): each.name for each in _given(flow_class)}
    return {names[key]: text for key, text in values.items() if key in names and text is not None}


def variable_of(parameter: str) -> str:
    """The environment variable that gives a parameter its value in a run by hand."""
    return f"EVENTFLOW_RUN_{parameter.upper().replace('-', '_')}"


def config_options(flow_class: type) -> list[click.Parameter]:
    """`--config` and `--config-value`, for a flow that has configurations."""
    declared = configs_of(flow_class).values()
    if not declared:
        return []
    listed = "; ".join(f"{each.name}{_described(each)}" for each in declared)
    return [
        click.Option(
            ["--config", "config_paths"],
            nargs=2,
            multiple=True,
            metavar="NAME FILE",
            help=f"Read a configuration from a file. There is {listed}.",
        ),
        click.Option(
            ["--config-value", "config_values"],
            nargs=2,
            multiple=True,
            metavar="NAME JSON",
            help="Give a configuration its value.",
        ),
    ]


def take_configs(
    flow_class: type,
    config_paths: Sequence[tuple[str, str]] = (),
    config_values: Sequence[tuple[str, str]] = (),
) -> None:
    """Give the flow its configurations, from the options and from the environment. An option
    wins over a variable, name by name.

    Raises:
        InvalidParameter: a variable cannot be read.
    """
    if not configs_of(flow_class):
        return
    typed = {name for name, _ in (*config_paths, *config_values)}
    give_configs(
        flow_class,
        {**_set_in(_PATHS_VARIABLE, besides=typed), **dict(config_paths)},
        {**_set_in(_VALUES_VARIABLE, besides=typed), **dict(config_values)},
    )


def _given(flow_class: type) -> list[Parameter]:
    declared = resolved_parameters(flow_class).values()
    return [each for each in declared if not isinstance(each, ConfigDeclaration)]


def _option(parameter: Parameter) -> click.Option:
    variable = variable_of(parameter.name)
    return click.Option(
        [_key(parameter.name), f"--{parameter.name}"],
        help=f"{parameter.help}{_noted(parameter)}",
        metavar=parameter.type.value.upper() if parameter.type else None,
        envvar=variable,
    )


def _noted(parameter: Parameter) -> str:
    if parameter.is_required:
        return " (required)"
    default = parameter.default
    if default is None or parameter.show_default is False:
        return ""
    if callable(default):
        return " (default: computed when it is run or deployed)"
    shown = default if isinstance(default, str) else json.dumps(default, default=str)
    return f" (default: {shown})"


def _described(declared: ConfigDeclaration) -> str:
    return f" ({declared.help})" if declared.help else ""


def _key(parameter: str) -> str:
    return "parameter_" + parameter.replace("-", "_")


def _set_in(variable: str, *, besides: set[str]) -> dict[str, str]:
    """What a variable says: a JSON object, whose values are text, or JSON that stands for it."""
    said = os.environ.get(variable)
    if not said:
        return {}
    try:
        content = json.loads(said)
    except ValueError as error:
        raise InvalidParameter(f"{variable} is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InvalidParameter(f'{variable} has to be {{"name": …}}, a JSON object.')
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in content.items()
        if name not in besides
    }
