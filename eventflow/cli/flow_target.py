"""The flow that a command line is of, and where its options put it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.authoring.graph import check as problems_of
from eventflow.authoring.graph import graph_of
from eventflow.authoring.project import namespace_of
from eventflow.errors import InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.context import World
    from eventflow.model.graph import FlowGraph
    from eventflow.model.namespace import Namespace
    from eventflow.model.run import RunRequest

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """The flow, and where its options put it. `added` are decorators for its steps, as text."""

    flow_class: type
    branch: str | None
    is_production: bool
    added: tuple[str, ...] = ()

    def graph(self, added: Sequence[str] = ()) -> FlowGraph:
        """The graph of the flow, with the decorators that `--with` gave it, before the command
        and after it.

        Raises:
            InvalidFlow, InvalidDecorator: the flow has mistakes, or one of these has.
        """
        from eventflow.authoring.added_decorators import parse_with

        return graph_of(self.flow_class, [parse_with(each) for each in (*self.added, *added)])

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

    def parameters(self, namespace: Namespace, given: Mapping[str, str]) -> dict[str, str]:
        """The values of a run by hand, of which `given` was typed."""
        from eventflow.authoring.parameters import values_of_run

        return values_of_run(
            self.flow_class,
            self.context(namespace),
            given,
            store=self.world.store,
            project=namespace.project,
        )

    def use_configs_of(self, request: RunRequest) -> None:
        """From here on the flow has the configurations that a run was given."""
        from eventflow.authoring.configs import bind_configs
        from eventflow.authoring.parameters import read_values

        bind_configs(self.flow_class, read_values(request.parameters))

    def check(self, *, is_deploy: bool) -> None:
        """Refuse a flow with mistakes; `is_deploy` looks at what starts it, too.

        Raises:
            InvalidFlow: it has some; all of them.
        """
        problems = list(problems_of(self.flow_class))
        if is_deploy:
            from eventflow.authoring.triggers import trigger_problems

            problems += trigger_problems(self.flow_class)
        if problems:
            raise InvalidFlow(problems)
