"""`@step`: the mark that makes a method a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

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
def step(method: Method) -> Method: ...


@overload
def step(*, start: bool = False, end: bool = False) -> Callable[[Method], Method]: ...


def step(
    method: Method | None = None, *, start: bool = False, end: bool = False
) -> Method | Callable[[Method], Method]:
    """Make a method a step of its flow; the method itself is not changed.

    A flow begins with the step `start` and ends with the step `end`, or with those marked
    `@step(start=True)` and `@step(end=True)`. The mark goes along with `functools.wraps`, so
    another decorator may stand above or below.
    """
    mark = StepMark(start, end)

    def decorate(function: Method) -> Method:
        vars(function)[_MARK] = mark
        return function

    return decorate if method is None else decorate(method)


def is_step(attribute: object) -> bool:
    """Whether an attribute of a class, or a bound method, is marked as a step."""
    return mark_of(attribute) is not None


def mark_of(attribute: object) -> StepMark | None:
    """What `@step` says of an attribute of a class, or of a bound method; None for no step."""
    function = getattr(attribute, "__func__", attribute)
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, StepMark) else None
