"""The graph of a flow as JSON: in `run.json`, and for tasks and tools."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from eventflow.model.graph import ExitHooks, FlowGraph, StepKind, StepNode
from eventflow.model.policy import Packages, StepPolicy

__all__ = ["graph_from_json", "graph_to_json"]


def graph_to_json(graph: FlowGraph) -> dict[str, Any]:
    """All of it as JSON."""
    return asdict(graph)


def graph_from_json(content: dict[str, Any]) -> FlowGraph:
    """What `graph_to_json` made."""
    hooks = content.get("exit_hooks")
    read = {
        "steps": tuple(_step(each) for each in content["steps"]),
        "exit_hooks": _hooks(hooks) if hooks else None,
    }
    return FlowGraph(**{**content, **read})


def _hooks(content: dict[str, Any]) -> ExitHooks:
    return ExitHooks(tuple(content["on_success"]), tuple(content["on_error"]))


def _step(content: dict[str, Any]) -> StepNode:
    read = {
        "kind": StepKind(content["kind"]),
        "next_steps": tuple(content["next_steps"]),
        "cases": tuple(content["cases"]),
        "policy": _policy(content["policy"]) if content["policy"] else None,
    }
    return StepNode(**{**content, **read})


def _policy(content: dict[str, Any]) -> StepPolicy:
    packages = content["packages"]
    read = {
        "packages": Packages(**packages) if packages else None,
        "added": tuple(content.get("added", ())),
    }
    return StepPolicy(**{**content, **read})
