"""`@exit_hook`: functions that run when a run has ended, in processes of their own.

They decide nothing: the run's end stands when they begin. A graph has them by name, so that who
starts them needs no user code: a function of the flow's file by its own name, another with its
module before it.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from eventflow.authoring.misuse import checked
from eventflow.errors import FlowProblem
from eventflow.model.graph import ExitHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventflow.authoring.source import Place

__all__ = ["exit_hook", "exit_hook_problems", "exit_hooks_of"]

_ATTRIBUTE = "__eventflow_exit_hooks__"
Flow = TypeVar("Flow", bound=type)


@dataclass(frozen=True, slots=True)
class _Declared:
    on_success: Any
    on_error: Any
    options: Any
    place: Place


@checked("@exit_hook stands on a flow: put it above the class.")
def exit_hook(
    *, on_success: Any = (), on_error: Any = (), options: Any = None
) -> Callable[[Flow], Flow]:
    """Have functions called when a run has ended: `on_success`, or `on_error` when it failed or
    was cancelled. Lists of functions of a module, or of their names; several decorators add up.

    A function that takes `run` is given the `Run`. Each has a process of its own and 5 minutes.
    """
    caller = sys._getframe(2)
    place = caller.f_code.co_filename, caller.f_lineno
    declared = _Declared(on_success, on_error, options, place)

    def decorate(flow_class: Flow) -> Flow:
        setattr(flow_class, _ATTRIBUTE, (declared, *_declared(flow_class)))
        return flow_class

    return decorate


def exit_hooks_of(flow_class: type) -> ExitHooks | None:
    """The hooks of a flow without mistakes, the uppermost first; None when it has none."""
    declared = _declared(flow_class)
    if not declared:
        return None
    return ExitHooks(
        on_success=tuple(_name(flow_class, one) for each in declared for one in each.on_success),
        on_error=tuple(_name(flow_class, one) for each in declared for one in each.on_error),
    )


def exit_hook_problems(flow_class: type) -> Iterator[FlowProblem]:
    """Every mistake in them."""
    for each in _declared(flow_class):
        for message in _mistakes(flow_class, each):
            yield FlowProblem(f"@exit_hook: {message}", *each.place)


def _mistakes(flow_class: type, declared: _Declared) -> Iterator[str]:
    if declared.options:
        yield "there are no options: remove them."
    if declared.on_success in ((), []) and declared.on_error in ((), []):
        yield "give it functions in on_success=[…], on_error=[…], or both."
    for what, hooks in (("on_success", declared.on_success), ("on_error", declared.on_error)):
        if not isinstance(hooks, list | tuple):
            yield f"{what} has to be a list of functions."
            continue
        for hook in hooks:
            message = _mistake(flow_class, hook)
            if message:
                yield f"{what}: {message}."


def _mistake(flow_class: type, hook: object) -> str | None:
    if isinstance(hook, str):
        if "." in hook or callable(getattr(_module(flow_class), hook, None)):
            return None
        return f"there is no function {hook!r} in the flow's file"
    name = getattr(hook, "__qualname__", "")
    if not inspect.isfunction(hook) or not name.isidentifier():
        return f"{name or hook!r} is no function of a module: define it with def, at the top level"
    return None


def _name(flow_class: type, hook: Any) -> str:
    if isinstance(hook, str):
        return hook
    is_here = hook.__module__ == flow_class.__module__
    return str(hook.__qualname__ if is_here else f"{hook.__module__}.{hook.__qualname__}")


def _module(flow_class: type) -> object:
    return sys.modules.get(flow_class.__module__)


def _declared(flow_class: type) -> tuple[_Declared, ...]:
    return tuple(getattr(flow_class, _ATTRIBUTE, ()))
