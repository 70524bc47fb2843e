"""Mistakes between steps: what is missing, unreachable or without an end, and how branches join.

A split opens a branch for each step that it names, a foreach one for each item; one step, the
join, takes all of them, and splits are joined in the reverse order of their opening. A switch
opens none: whichever way it goes, the same branches are open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from eventflow.authoring.flow_ends import ends_of, ends_problems
from eventflow.authoring.step_checks import is_broken
from eventflow.authoring.step_kinds import kind_of
from eventflow.errors import FlowProblem
from eventflow.model.graph import StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.authoring.source import Place, StepSource

__all__ = ["graph_problems"]

_Branches: TypeAlias = tuple[tuple[str, int], ...]  # the open splits, outermost first
_EACH = frozenset({StepKind.FOREACH, StepKind.PARALLEL})


def graph_problems(
    flow_class: type, steps: Sequence[StepSource], place: Place
) -> Iterator[FlowProblem]:
    """The mistakes between steps; `place` is that of the class."""
    if not steps:
        yield FlowProblem("The flow has no steps: mark methods with @step.", *place)
        return
    start, end = ends_of(flow_class)
    graph = _Graph(steps, start, end)
    yield from ends_problems(flow_class, graph.steps, place)
    cycles = list(graph.cycles())
    yield from cycles
    names = frozenset(graph.steps)
    reached = graph.reached()
    if start not in names or any(is_broken(graph.steps[each], names, end) for each in reached):
        return  # what follows a broken step is unknown, and what follows from that is noise
    islands = list(graph.unreachable(reached))
    yield from islands
    if not cycles and not islands and end in names:
        yield from graph.endless(reached)
        yield from _Splits(graph).problems()


class _Graph:
    """The steps with the edges that lead to steps that exist."""

    def __init__(self, steps: Sequence[StepSource], start: str, end: str) -> None:
        self.steps: Mapping[str, StepSource] = {step.name: step for step in steps}
        self.start, self.end = start, end
        self.kinds = {step.name: kind_of(step, end) for step in steps}
        self.edges = {
            step.name: tuple(dict.fromkeys(n for n in step.next_steps if n in self.steps))
            for step in steps
        }

    def parents(self, name: str) -> tuple[str, ...]:
        return tuple(parent for parent, targets in self.edges.items() if name in targets)

    def reached(self) -> frozenset[str]:
        """What the start leads to, itself included."""
        return _closure(self.start, self.edges) if self.start in self.steps else frozenset()

    def unreachable(self, reached: frozenset[str]) -> Iterator[FlowProblem]:
        for name, step in self.steps.items():
            if name not in reached:
                yield _at(
                    step,
                    f"Step {name!r} is never reached from {self.start!r}: lead to it with"
                    " self.next, or remove it.",
                )

    def endless(self, reached: frozenset[str]) -> Iterator[FlowProblem]:
        """Steps from which no way leads to the end: every case of their switches leads back."""
        backwards = {name: self.parents(name) for name in self.steps}
        can_end = _closure(self.end, backwards)
        for name in self.steps:
            if name in reached - can_end:
                yield _at(
                    self.steps[name],
                    f"Step {name!r} never comes to {self.end!r}: every way from it leads back."
                    " Give a switch of the loop a case that leads out of it.",
                )

    def cycles(self) -> Iterator[FlowProblem]:
        """One mistake for each edge that leads back, where no switch can lead out."""
        done: set[str] = set()
        for name in self.steps:
            yield from self._cycles_from(name, (), done)

    def _cycles_from(
        self, name: str, path: tuple[str, ...], done: set[str]
    ) -> Iterator[FlowProblem]:
        if self.kinds[name] is StepKind.SWITCH:
            return
        if name in path:
            circle = " → ".join((*path[path.index(name) :], name))
            last = self.steps[path[-1]]
            message = (
                f"{circle} is a cycle, which would never end: lead on to another step, or loop by"
                " a condition, self.next({…}, condition=…)."
            )
            yield FlowProblem(message, last.file, last.next_calls[0].line)
        elif name not in done:
            for target in self.edges[name]:
                yield from self._cycles_from(target, (*path, name), done)
            done.add(name)


class _Splits:
    """Follows every edge once, and keeps which branches are open at each step."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._open: dict[str, _Branches] = {graph.start: ()}
        self._joins: dict[str, dict[str, set[int]]] = {}

    def problems(self) -> Iterator[FlowProblem]:
        mistakes = dict(self._walk())
        # A wrong join explains what looks wrong behind it, the first one the others.
        wrong = [
            (name, find(name)) for find in (self._mixed, self._missing) for name in self._joins
        ]
        found = next(((name, mistake) for name, mistake in wrong if mistake), None)
        if found is not None:
            mistakes = dict([found])
        for name, mistake in (mistakes or dict(self._still_open())).items():
            yield _at(self._graph.steps[name], mistake)

    def _walk(self) -> Iterator[tuple[str, str]]:
        """Step and mistake; nothing is followed from a step that is reached in a wrong way."""
        todo = [self._graph.start]
        seen = set(todo)
        while todo:
            name = todo.pop(0)
            for target in self._graph.edges[name]:
                mistake = self._follow(name, target)
                if mistake:
                    yield target, mistake
                if target not in seen:
                    seen.add(target)
                    todo += [] if mistake else [target]

    def _follow(self, parent: str, name: str) -> str | None:
        """Go along an edge; what is wrong with where it leads."""
        branches = self._along(parent, name)
        if not self._graph.steps[name].takes_inputs:
            known = self._open.setdefault(name, branches)
            return None if known == branches else self._not_a_join(name, known, branches)
        if not branches:
            return self._inputs_of_nothing(name)
        split, index = branches[-1]
        if split == parent and self._graph.kinds[parent] in _EACH:
            return (
                f"Step {name!r} takes inputs, and the foreach in {parent!r} leads straight to it:"
                " put a step between them, which runs for each item."
            )
        known = self._open.setdefault(name, branches[:-1])
        self._joins.setdefault(name, {}).setdefault(split, set()).add(index)
        return None if known == branches[:-1] else self._jumps_out(name)

    def _along(self, parent: str, name: str) -> _Branches:
        """The branches open on the edge from `parent` to `name`."""
        targets, kind = self._graph.edges[parent], self._graph.kinds[parent]
        splits = kind in _EACH or kind is StepKind.SPLIT
        branch = ((parent, targets.index(name)),) if splits else ()
        return (*self._open[parent], *branch)

    def _still_open(self) -> Iterator[tuple[str, str]]:
        still_open, end = self._open.get(self._graph.end, ()), self._graph.end
        if still_open:
            mistake = (
                f"Step {end!r} is reached while the split in {still_open[-1][0]!r} is open: join"
                " its branches before, in a step that takes inputs."
            )
            yield end, mistake

    def _mixed(self, name: str) -> str | None:
        return self._jumps_out(name) if len(self._joins[name]) > 1 else None

    def _missing(self, name: str) -> str | None:
        split, joined = next(iter(self._joins[name].items()))
        missing = [n for i, n in enumerate(self._graph.edges[split]) if i not in joined]
        others = [other for other, splits in self._joins.items() if split in splits]
        if not missing and others[0] != name:
            missing = [others[0]]
        if not missing:
            return None
        return (
            f"Step {name!r} joins only some branches of the split in {split!r}: lead"
            f" {_listed(missing)} to it as well; all branches of a split are joined in one step."
        )

    def _not_a_join(self, name: str, known: _Branches, branches: _Branches) -> str:
        parents = _listed(self._graph.parents(name))
        if known[:-1] == branches[:-1] and len(known) == len(branches):
            return (
                f"Step {name!r} is reached from {parents}, so it joins them:"
                f" write def {name}(self, inputs)."
            )
        return (
            f"Step {name!r} is reached from {parents}, of which not all are in the same branch of"
            " a split: a step inside a branch cannot jump out of it. Join the split first, in a"
            " step that takes inputs."
        )

    def _inputs_of_nothing(self, name: str) -> str:
        parents = _listed(self._graph.parents(name))
        return (
            f"Step {name!r} takes inputs, but only {parents} leads to it, and no split is open"
            f" there: write def {name}(self), or lead branches to it."
        )

    def _jumps_out(self, name: str) -> str:
        return (
            f"Step {name!r} joins {_listed(self._graph.parents(name))}, which are not branches"
            " of one split: a step inside a branch cannot jump out of it. Join each split in a"
            " step of its own, the inner one first."
        )


def _closure(name: str, edges: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """What edges lead to from a step, itself included."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop()
        if each not in seen:
            seen.add(each)
            todo.extend(edges[each])
    return frozenset(seen)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _at(step: StepSource, message: str) -> FlowProblem:
    return FlowProblem(message, step.file, step.line)
