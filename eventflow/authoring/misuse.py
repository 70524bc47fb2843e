"""Decorators that are told what they do not take, or stand where they have no meaning.

As with all mistakes in decorators nothing is raised where they stand: a note is left there, on the
flow or the method, and read when the flow is checked.
"""

from __future__ import annotations

import inspect
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from eventflow.errors import FlowProblem, InvalidFlow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from eventflow.authoring.source import Place

__all__ = ["checked", "leave_mistake", "misuse_problems"]

_MARK = "__eventflow_misuses__"
_ELSEWHERE = {
    "branch": "The branch is said on the command line: --branch.",
    "production": "It is said on the command line: --production.",
}
Maker = TypeVar("Maker", bound="Callable[..., Any]")


def checked(misplaced: str, *, of_flow: bool = True) -> Callable[[Maker], Maker]:
    """For a function that makes decorators, of flows or of methods: one with attributes that it
    has not, or on something else (`misplaced` says what to do then), leaves its mistakes.

    One without parentheses is one without attributes. What called it is the caller's caller.
    """

    def check(maker: Maker) -> Maker:
        signature = inspect.signature(maker)

        @wraps(maker)
        def make(*given: Any, **attributes: Any) -> Any:
            caller = sys._getframe(1)
            place = caller.f_code.co_filename, caller.f_lineno
            is_bare = len(given) == 1 and not attributes and _is_decorated(given[0])
            said = () if is_bare else given
            mistakes = [*_mistakes(maker.__name__, signature, said, attributes)]
            own = None if mistakes else maker(*said, **attributes)

            def decorate(target: Any) -> Any:
                found = mistakes if isinstance(target, type) is of_flow else [misplaced]
                for mistake in found:
                    leave_mistake(target, mistake, place)
                return target if found or own is None else own(target)

            return decorate(given[0]) if is_bare else decorate

        return cast("Maker", make)

    return check


def leave_mistake(target: Any, message: str, place: Place) -> Any:
    """Leave a mistake on the flow or the method that is decorated, which is returned.

    Raises:
        InvalidFlow: it is neither.
    """
    if not (isinstance(target, type) or inspect.isfunction(target)):
        raise InvalidFlow([FlowProblem(message, *place)])
    setattr(target, _MARK, (*getattr(target, _MARK, ()), FlowProblem(message, *place)))
    return target


def misuse_problems(flow_class: type) -> Iterator[FlowProblem]:
    """The mistakes that were left on a flow and on its methods."""
    yield from getattr(flow_class, _MARK, ())
    for _, method in inspect.getmembers(flow_class, inspect.isfunction):
        yield from getattr(method, _MARK, ())


def _mistakes(
    name: str,
    signature: inspect.Signature,
    given: Sequence[Any],
    attributes: Mapping[str, Any],
) -> Iterator[str]:
    """What is wrong with a call."""
    parameters = signature.parameters.values()
    own = [each for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
    names = [each.name for each in own]
    by_place = [each.name for each in own if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(given) > len(by_place):
        yield f"@{name} takes its attributes by name: @{name}({names[0]}=…)."
        return
    for each in attributes:
        if each not in names:
            there = f"@{name} has no attribute {each!r}; it has: {', '.join(names)}."
            yield f"{there} {_ELSEWHERE.get(each, '')}".rstrip()
    told = {*attributes, *by_place[: len(given)]}
    for parameter in own:
        if parameter.default is inspect.Parameter.empty and parameter.name not in told:
            yield f"@{name} needs {parameter.name}=: write @{name}({parameter.name}=…)."


def _is_decorated(given: object) -> bool:
    """Whether it is what a decorator stands on, so that this one has no parentheses."""
    return isinstance(given, type) or inspect.isfunction(given)
