"""An exit hook at work, in the process of its task: found by its name, and called."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventflow.client.run import Run
from eventflow.client.scope import looking_from
from eventflow.errors import FlowProblem, InvalidFlow
from eventflow.execution.exit_hooks import hooks_of
from eventflow.store.runs import place_of, read_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from eventflow.model.task import TaskPlan
    from eventflow.store.port import Store

__all__ = ["call_hook"]


def call_hook(module: ModuleType, task: TaskPlan, store: Store) -> None:
    """Call the hook that a task is for, of the flow that `module` has.

    Raises:
        InvalidFlow: there is no such function.
        Exception: whatever it raises.
    """
    place = place_of(task.run.request)
    end = read_end(store, place)
    assert end is not None  # a hook is called after the end only
    name = hooks_of(task.run.graph, end.outcome)[int(task.key.task)]
    hook = _find(module, name, task)
    with looking_from(place.namespace):
        if _takes_run(hook):
            hook(run=Run.at(place))
        else:
            hook()


def _find(module: ModuleType, name: str, task: TaskPlan) -> Callable[..., Any]:
    home, _, function = name.rpartition(".")
    found = getattr(import_module(home) if home else module, function, None)
    if not callable(found):
        message = f"@exit_hook: there is no function {name!r}."
        raise InvalidFlow([FlowProblem(message, task.run.code_file, 1)])
    return found  # type: ignore[no-any-return]


def _takes_run(hook: Callable[..., Any]) -> bool:
    parameters = inspect.signature(hook).parameters.values()
    return any(each.name == "run" or each.kind is each.VAR_KEYWORD for each in parameters)
