"""What an earlier epoch has left to a take-over: the tasks that need not run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.task import TaskKey
from eventflow.store.artifacts import read_task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.model.graph import FlowGraph, StepNode
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = ["finished_attempts"]


def finished_attempts(store: Store, place: RunPlace, graph: FlowGraph) -> dict[str, TaskKey]:
    """For each step that has one, an attempt whose artifacts stand: one execution, not a mixture.

    An attempt only counts when it read from the very attempts that count of the steps before it:
    a late one of a zombie may have read from others. One listing, and one read for each attempt.
    """
    listed = _listed(store, place)
    counts: dict[str, TaskKey] = {}
    todo = list(graph.steps)
    while node := next((each for each in todo if _is_next(graph, each, counts)), None):
        todo.remove(node)
        found = _standing(store, place, node, _inputs(graph, node, counts), listed)
        if found is not None:
            counts[node.name] = found
    return counts


def _listed(store: Store, place: RunPlace) -> dict[str, list[TaskKey]]:
    """The attempts with artifacts of each step, those of the latest epoch first."""
    prefix = f"{place.root}e"
    attempts: dict[str, list[TaskKey]] = {}
    for each in store.list(prefix):
        parts = each.key.removeprefix(prefix).split("/")
        if parts[-1] == "artifacts.json" and len(parts) == 5:
            epoch, step, task, attempt, _ = parts
            attempts.setdefault(step, []).append(TaskKey(int(epoch), step, task, int(attempt)))
    return {step: sorted(keys, reverse=True) for step, keys in attempts.items()}


def _is_next(graph: FlowGraph, node: StepNode, counts: Mapping[str, TaskKey]) -> bool:
    return all(parent in counts for parent in graph.parents(node.name))


def _inputs(graph: FlowGraph, node: StepNode, counts: Mapping[str, TaskKey]) -> tuple[TaskKey, ...]:
    return tuple(counts[parent] for parent in graph.parents(node.name))


def _standing(
    store: Store,
    place: RunPlace,
    node: StepNode,
    inputs: tuple[TaskKey, ...],
    listed: Mapping[str, list[TaskKey]],
) -> TaskKey | None:
    for key in listed.get(node.name, ()):
        record = read_task(store, place, key)
        if record.inputs == inputs and set(record.next_steps) == set(node.next_steps):
            return key
    return None
