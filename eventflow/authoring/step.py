"""`@step`: the mark that makes a method a step."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from eventflow.authoring.misuse import leave_mistake

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StepMark", "is_step", "mark_of", "step"]

_MARK = "__eventflow_step__"
Method = TypeVar("Method", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class StepMark:
    """What `@step` says: whether the flow begins or ends with this step, whatever its name."""

    is_start: bool = False
    is_end: bool = False


@overload
def step(method: Method, /) -> Method: ...


@overload
def step(*, start: bool = False, end: bool = False) -> Callable[[Method], Method]: ...


def step(*given: Any, start: bool = False, end: bool = False, **unknown: object) -> Any:
    """Make a method a step of its flow; the method itself is not changed.

    A flow begins with the step `start` and ends with the step `end`, or with those marked
    `@step(start=True)` and `@step(end=True)`. The mark goes along with `functools.wraps`, so
    another decorator may stand above or below.
    """
    caller = sys._getframe(1)
    place = caller.f_code.co_filename, caller.f_lineno
    is_bare = len(given) == 1 and callable(given[0])
    mistakes = [f"@step has no attribute {name!r}; it has: start, end." for name in unknown]
    if given and not is_bare:
        mistakes.append("@step takes its attributes by name: @step(start=True).")

    def decorate(function: Any) -> Any:
        if isinstance(function, type) or not hasattr(function, "__dict__"):
            return leave_mistake(function, "@step stands on a method of the flow.", place)
        vars(function)[_MARK] = StepMark(start, end)
        for mistake in mistakes:
            leave_mistake(function, mistake, place)
        return function

    return decorate(given[0]) if is_bare else decorate


def is_step(attribute: object) -> bool:
    """Whether an attribute of a class, or a bound method, is marked as a step."""
    return mark_of(attribute) is not None


def mark_of(attribute: object) -> StepMark | None:
    """What `@step` says of an attribute of a class, or of a bound method; None for no step."""
    function = getattr(attribute, "__func__", attribute)
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, StepMark) else None
