"""Mistakes between steps: what is missing, unreachable or a cycle, and how branches are joined.

A split opens as many branches as it names steps; one step, the join, takes all of them, and
splits are joined in the reverse order of their opening.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from eventflow.authoring.step_checks import is_broken
from eventflow.errors import FlowProblem
from eventflow.model.graph import END, START

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.authoring.source import Place, StepSource

__all__ = ["graph_problems"]

_Branches: TypeAlias = tuple[tuple[str, int], ...]  # the open splits, outermost first


def graph_problems(steps: Sequence[StepSource], place: Place) -> Iterator[FlowProblem]:
    """The mistakes between steps; `place` is that of the class."""
    names = frozenset(step.name for step in steps)
    graph = _Graph(steps)
    if not steps:
        yield FlowProblem("The flow has no steps: mark methods with @step.", *place)
        return
    for name in (START, END):
        if name not in names:
            yield FlowProblem(f"The flow has no step {name!r}: write one.", *place)
    cycles = list(graph.cycles())
    yield from cycles
    yield from graph.join_problems()
    reached = graph.reached()
    if any(is_broken(graph.steps[name], names) for name in reached) or START not in names:
        return  # what follows a broken step is unknown, and what follows from that is noise
    yield from graph.unreachable(reached)
    if not cycles:
        yield from _Splits(graph, reached).problems()


class _Graph:
    """The steps with the edges that lead to steps that exist."""

    def __init__(self, steps: Sequence[StepSource]) -> None:
        self.steps: Mapping[str, StepSource] = {step.name: step for step in steps}
        self.edges = {
            step.name: tuple(dict.fromkeys(n for n in step.next_steps if n in self.steps))
            for step in steps
        }

    def parents(self, name: str) -> tuple[str, ...]:
        return tuple(parent for parent, targets in self.edges.items() if name in targets)

    def reached(self) -> frozenset[str]:
        """What `start` leads to, itself included."""
        seen: set[str] = set()
        todo = [START] if START in self.steps else []
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(self.edges[name])
        return frozenset(seen)

    def order(self, names: frozenset[str]) -> Iterator[str]:
        """`names` of a graph without cycles, each after all that lead to it."""
        done: set[str] = set()
        while len(done) < len(names):
            for name in self.steps:
                parents = names.intersection(self.parents(name))
                if name in names - done and parents <= done:
                    done.add(name)
                    yield name

    def unreachable(self, reached: frozenset[str]) -> Iterator[FlowProblem]:
        for name, step in self.steps.items():
            if name not in reached:
                yield _at(
                    step,
                    f"Step {name!r} is never reached from 'start': lead to it with self.next,"
                    " or remove it.",
                )

    def join_problems(self) -> Iterator[FlowProblem]:
        for name, step in self.steps.items():
            parents = self.parents(name)
            if step.arguments is None or name == START:
                continue
            if len(parents) > 1 and not step.takes_inputs:
                yield _at(
                    step,
                    f"Step {name!r} is reached from {_listed(parents)}, so it joins them:"
                    f" write def {name}(self, inputs).",
                )
            elif len(parents) == 1 and step.takes_inputs:
                yield _at(
                    step,
                    f"Step {name!r} takes inputs, but only {parents[0]!r} leads to it: write"
                    f" def {name}(self), or lead the other branches to it.",
                )

    def cycles(self) -> Iterator[FlowProblem]:
        """One mistake for each edge that leads back."""
        done: set[str] = set()
        for name in self.steps:
            yield from self._cycles_from(name, (), done)

    def _cycles_from(
        self, name: str, path: tuple[str, ...], done: set[str]
    ) -> Iterator[FlowProblem]:
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            last = self.steps[path[-1]]
            message = (
                f"{circle} is a cycle, which would never end: lead on to another step. Loops that"
                " end by a condition are not yet executed in this version."
            )
            yield FlowProblem(message, last.file, last.next_calls[0].line)
        elif name not in done:
            for target in self.edges[name]:
                yield from self._cycles_from(target, (*path, name), done)
            done.add(name)


class _Splits:
    """Walks the steps in order, and keeps which branches are open at each.

    Without cycles and dead ends every branch comes to `end`; so when every join takes all
    branches of one split, no branch is left open there.
    """

    def __init__(self, graph: _Graph, reached: frozenset[str]) -> None:
        self._graph = graph
        self._reached = reached
        self._open: dict[str, _Branches] = {}

    def problems(self) -> Iterator[FlowProblem]:
        for name in self._graph.order(self._reached):
            parents = [each for each in self._graph.parents(name) if each in self._reached]
            edges = [self._along(parent, name) for parent in parents]
            if len(edges) < 2:
                self._open[name] = edges[0] if edges else ()
            else:
                mistake = self._mistake_of_join(name, edges)
                if mistake:
                    yield _at(self._graph.steps[name], mistake)
                    return  # what is open behind a wrong join is anybody's guess
                self._open[name] = edges[0][:-1]

    def _along(self, parent: str, name: str) -> _Branches:
        """The branches open on the edge from `parent` to `name`."""
        targets = self._graph.edges[parent]
        branch = ((parent, targets.index(name)),) if len(targets) > 1 else ()
        return (*self._open[parent], *branch)

    def _mistake_of_join(self, name: str, edges: Sequence[_Branches]) -> str | None:
        splits = {edge[-1][0] for edge in edges if edge}
        if not all(edges) or len({edge[:-1] for edge in edges}) > 1 or len(splits) > 1:
            return (
                f"Step {name!r} joins {_listed(self._graph.parents(name))}, which are not branches"
                " of one split: a step inside a branch cannot jump out of it. Join each split in a"
                " step of its own, the inner one first."
            )
        (split,) = splits
        joined = {edge[-1][1] for edge in edges}
        missing = [n for i, n in enumerate(self._graph.edges[split]) if i not in joined]
        if not missing:
            return None
        return (
            f"Step {name!r} joins only some branches of the split in {split!r}: lead"
            f" {_listed(missing)} to it as well; all branches of a split are joined in one step."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _at(step: StepSource, message: str) -> FlowProblem:
    return FlowProblem(message, step.file, step.line)
