"""`@step`: the mark that makes a method a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_step", "step"]

_MARK = "__eventflow_step__"
Method = TypeVar("Method", bound="Callable[..., Any]")


def step(method: Method) -> Method:
    """Make a method a step of its flow; the method itself is not changed.

    The mark goes along with `functools.wraps`, so another decorator may stand above or below.
    """
    vars(method)[_MARK] = True
    return method


def is_step(attribute: object) -> bool:
    """Whether an attribute of a class, or a bound method, is marked as a step."""
    function = getattr(attribute, "__func__", attribute)
    return getattr(function, _MARK, False) is True
