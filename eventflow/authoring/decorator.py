"""What a decorator of steps is: a name, its attributes, and what it notes on a method.

A decorator changes nothing of the method: it leaves a note there of what it was told, and where.
Notes go along with `functools.wraps`. They are read, with what is wrong with them, when the flow is
checked (`decorator_problems`), deployed (`decorator_policy`) or executed.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from eventflow.authoring.configs import resolved
from eventflow.authoring.members import class_attribute
from eventflow.authoring.misuse import leave_mistake
from eventflow.errors import InvalidDecorator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eventflow.authoring.source import Place

__all__ = ["Attribute", "Declaration", "Note", "StepDecorator", "declarations_of", "notes_of"]

_MARK = "__eventflow_decorators__"
Method = TypeVar("Method", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a decorator. `read` gives the value to use of the one that was written, or
    raises InvalidDecorator, which says what it has to be."""

    default: object
    read: Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One decorator as it counts for a step. `attributes` has all of them, the defaults too, those
    with a mistake left at their default; `text` is what was given with `--with`, if it was."""

    name: str
    attributes: Mapping[str, Any]
    mistakes: tuple[str, ...] = ()
    place: Place = ("<unknown>", 0)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One decorator as it stands on a method: what it was told. `nameless` when it was told
    something without a name."""

    decorator: StepDecorator
    given: Mapping[str, object]
    place: Place
    nameless: bool = False

    @property
    def name(self) -> str:
        """That of the decorator."""
        return self.decorator.name

    def read(self, flow_class: type) -> Declaration:
        """What it says of a step of that flow, with what is wrong with it."""
        mistakes = (f"@{self.name} takes its attributes by name.",) if self.nameless else ()
        given = resolved(flow_class, self.given)
        return self.decorator.declare(given, mistakes, place=self.place)


@dataclass(frozen=True)
class StepDecorator:
    """A decorator of steps, with parentheses or without, above `@step` or below it.

    `judge` says what is wrong with all attributes together.
    """

    name: str
    attributes: Mapping[str, Attribute]
    doc: str
    judge: Callable[[Mapping[str, Any]], Iterable[str]] = field(default=lambda _: ())

    def __post_init__(self) -> None:
        # As a function would have them: `help(retry)` and notebooks show what it takes.
        about = {"__name__": self.name, "__doc__": self.doc, "__signature__": self._signature()}
        vars(self).update(about)

    @overload
    def __call__(self, method: Method, /) -> Method: ...

    @overload
    def __call__(self, **attributes: Any) -> Callable[[Method], Method]: ...

    def __call__(self, *given: Any, **attributes: Any) -> Any:
        caller = sys._getframe(1)
        place = caller.f_code.co_filename, caller.f_lineno
        if len(given) == 1 and not attributes and callable(given[0]):
            return _leave(Note(self, {}, place), given[0])
        return partial(_leave, Note(self, attributes, place, bool(given)))

    def declare(
        self,
        given: Mapping[str, object],
        mistakes: tuple[str, ...] = (),
        *,
        place: Place,
        text: str = "",
    ) -> Declaration:
        """The declaration that these attributes make, with what is wrong with them."""
        values = {name: each.default for name, each in self.attributes.items()}
        found = list(mistakes)
        for name, value in given.items():
            if name not in self.attributes:
                there = ", ".join(self.attributes) or "none"
                found.append(f"@{self.name} has no attribute {name!r}; it has: {there}.")
                continue
            try:
                values[name] = self.attributes[name].read(value)
            except InvalidDecorator as error:
                found.append(f"@{self.name}: {name} has to be {error}.")
        if not found:
            found += self.judge(values)
        return Declaration(self.name, values, tuple(found), place, text)

    def _signature(self) -> inspect.Signature:
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                inspect.Parameter(name, keyword, default=each.default)
                for name, each in self.attributes.items()
            ]
        )


def notes_of(method: object) -> tuple[Note, ...]:
    """What the decorators of a method left there, the uppermost first."""
    found: Iterator[Note] = iter(getattr(method, _MARK, ()))
    return tuple(found)


def declarations_of(flow_class: type, step: str) -> tuple[Declaration, ...]:
    """What the decorators of a step say, the uppermost first.

    Raises:
        InvalidConfig: an expression of configurations in one cannot be evaluated.
    """
    notes = notes_of(class_attribute(flow_class, step))
    return tuple(note.read(flow_class) for note in notes)


def _leave(note: Note, method: Method) -> Method:
    """Leave a note on a method, before those of the decorators below it.

    Raises:
        InvalidFlow: it is neither a method nor a class that is decorated.
    """
    if isinstance(method, type) or not hasattr(method, "__dict__"):
        message = f"@{note.name} stands on a step: put it above a method of the flow."
        return cast("Method", leave_mistake(method, message, note.place))
    vars(method)[_MARK] = (note, *notes_of(method))
    return method
