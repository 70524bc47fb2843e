"""From a flow class to its graph, with every mistake named by file and line."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.authoring.configs import config_problems
from eventflow.authoring.decorator_policy import UNCATCHABLE, policy_of
from eventflow.authoring.decorator_problems import decorator_problems
from eventflow.authoring.exit_hook import exit_hook_problems, exit_hooks_of
from eventflow.authoring.flow_ends import ends_of
from eventflow.authoring.graph_checks import graph_problems
from eventflow.authoring.misuse import misuse_problems
from eventflow.authoring.parameters import parameter_problems
from eventflow.authoring.project import project_problems
from eventflow.authoring.pypi import packages_of, pypi_problems
from eventflow.authoring.source import place_of_class, read_steps
from eventflow.authoring.step_checks import step_problems
from eventflow.authoring.step_kinds import kind_of
from eventflow.errors import FlowProblem, InvalidFlow
from eventflow.model.graph import FlowGraph, StepNode
from eventflow.model.policy import NO_POLICY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.source import StepSource
    from eventflow.model.graph import StepKind
    from eventflow.model.policy import StepPolicy

__all__ = ["check", "graph_of"]


def check(flow_class: type) -> list[FlowProblem]:
    """Every mistake that keeps the flow from running, in the order of the files; nothing is run.

    What keeps it from being deployed besides: `triggers.trigger_problems`.
    """
    if of_configs := config_problems(flow_class):
        return of_configs  # what else is right or wrong hangs on them
    steps = read_steps(flow_class)
    problems = [
        *_class_problems(flow_class),
        *misuse_problems(flow_class),
        *project_problems(flow_class),
        *parameter_problems(flow_class),
        *step_problems(flow_class, steps),
        *decorator_problems(flow_class, steps),
        *exit_hook_problems(flow_class),
        *pypi_problems(flow_class, steps),
        *graph_problems(flow_class, steps, place_of_class(flow_class)),
    ]
    return sorted(problems, key=lambda each: (each.file, each.line))


def graph_of(flow_class: type, added: Sequence[Declaration] = ()) -> FlowGraph:
    """The graph of a flow. Its `file` is relative to the folder of the flow's file. `added` are
    decorators for each step that has none of the name (`--with`).

    Raises:
        InvalidFlow: the flow has mistakes; all of them.
    """
    problems = check(flow_class)
    if problems:
        raise InvalidFlow(problems)
    file, _ = place_of_class(flow_class)
    start, end = ends_of(flow_class)
    nodes = tuple(_node(flow_class, step, end, added) for step in read_steps(flow_class))
    name, doc, hooks = flow_class.__name__, _doc(flow_class), exit_hooks_of(flow_class)
    return FlowGraph(name, Path(file).name, doc, nodes, start, end, hooks)


def _class_problems(flow_class: type) -> list[FlowProblem]:
    if flow_class.__name__.isascii():
        return []
    message = f"The flow cannot be called {flow_class.__name__!r}: use letters, digits and '_'."
    return [FlowProblem(message, *place_of_class(flow_class))]


def _doc(flow_class: type) -> str:
    """The flow's own docstring; that of FlowSpec says nothing about it."""
    return inspect.cleandoc(vars(flow_class).get("__doc__") or "")


def _node(flow_class: type, step: StepSource, end: str, added: Sequence[Declaration]) -> StepNode:
    kind = kind_of(step, end)
    call = step.next_calls[0] if step.next_calls else None
    return StepNode(
        name=step.name,
        kind=kind,
        next_steps=step.next_steps,
        is_join=step.takes_inputs,
        line=step.line,
        doc=step.doc,
        foreach=call.option("foreach") if call else None,
        condition=call.option("condition") if call else None,
        cases=(call.cases or ()) if call else (),
        policy=_policy(flow_class, step.name, added, kind),
    )


def _policy(
    flow_class: type, step: str, added: Sequence[Declaration], kind: StepKind
) -> StepPolicy | None:
    policy = policy_of(flow_class, step, added, can_catch=kind not in UNCATCHABLE)
    packages = packages_of(flow_class, step)
    return policy if packages is None else replace(policy or NO_POLICY, packages=packages)
