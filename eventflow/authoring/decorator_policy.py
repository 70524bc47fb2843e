"""From the decorators of a step to its policy: what the driver, the template and the task obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventflow.authoring.added_decorators import parse_with
from eventflow.authoring.decorator import declarations_of
from eventflow.model.graph import StepKind
from eventflow.model.policy import NO_POLICY, StepPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from eventflow.authoring.decorator import Declaration

__all__ = ["UNCATCHABLE", "decorators_in_force", "policy_of"]

UNCATCHABLE = frozenset({StepKind.FOREACH, StepKind.PARALLEL, StepKind.SWITCH})
"""The kinds of steps that cannot have a `@catch`: after a failure nobody knows what follows."""

_OF_THE_TASK = frozenset({"catch", "secrets", "card"})


def policy_of(
    flow_class: type, step: str, extra: Sequence[Declaration] = (), *, can_catch: bool = True
) -> StepPolicy | None:
    """The policy of a step; None when no decorator asks for one.

    `extra` are those given with `--with`: each counts where the step has none of its name. A step
    that cannot have a `@catch` is given none. The flow has no mistakes (`decorator_problems`).
    """
    own = declarations_of(flow_class, step)
    names = {each.name for each in own}
    added = [each for each in _latest(extra) if each.name not in names]
    added = [each for each in added if each.name != "catch" or can_catch]
    values: dict[str, Any] = {}
    for each in (*own, *added):
        values |= _READERS[each.name](each.attributes)
    texts = tuple(each.text for each in added if each.name in _OF_THE_TASK)
    policy = StepPolicy(**values, added=texts)
    return None if policy == NO_POLICY else policy


def decorators_in_force(
    flow_class: type, step: str, policy: StepPolicy, name: str
) -> tuple[Declaration, ...]:
    """The declarations of one decorator that a task has to obey, the uppermost first: those of
    the step, else those that its policy says were added."""
    own = declarations_of(flow_class, step)
    there = tuple(each for each in own if each.name == name)
    added = (parse_with(each) for each in policy.added)
    return there or tuple(each for each in added if each.name == name)


def _latest(extra: Iterable[Declaration]) -> Iterable[Declaration]:
    """Of several with one name the last one given."""
    return {each.name: each for each in extra}.values()


def _retry(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "retries": given["times"],
        "retry_wait_s": given["minutes_between_retries"] * 60.0,
        "retry_backoff": given["backoff"],
    }


def _catch(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"is_caught": True, "catch_artifact": given["var"] or ""}


def _timeout(given: Mapping[str, Any]) -> dict[str, Any]:
    seconds = given["seconds"] + 60 * given["minutes"] + 3600 * given["hours"]
    return {"timeout_s": float(seconds)}


def _environment(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"variables": dict(given["vars"])}


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name: f"{amount:g}" for name, amount in given.items() if amount is not None}
    return {"resources": asked}


def _nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


_READERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "retry": _retry,
    "catch": _catch,
    "timeout": _timeout,
    "environment": _environment,
    "resources": _resources,
    "secrets": _nothing,
    "card": _nothing,
    "parallel": _nothing,
}
