"""The shapes in which an author may write what a trigger waits for, read into one.

What is wrong is collected, not raised, so that an author sees all of it at once. A function is
asked only when there is a context to ask it with; until then its answer counts as right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from eventflow.errors import InvalidName
from eventflow.model.event import RESERVED_FIELDS, check_event_name
from eventflow.model.trigger import FieldMapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.trigger_declarations import Declaration

__all__ = ["LATER", "Shapes", "Wanted"]

LATER: Final = "comes in a later version"
_FIELD = re.compile(r"[A-Za-z0-9_\-$]+(\.[A-Za-z0-9_\-$]+)*")
_FLOW = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROJECT_KEYS = ("project", "project_branch")
_FIELDS_SHAPES = (
    '{"parameter": "field"}, or a list of "name" and ("parameter", "field"), or a function that'
    " returns one of these"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One event or flow that is waited for. `mappings` None: nothing is said of parameters.
    `is_open`: a function says the rest, perhaps the name too, and was not asked yet."""

    name: str | None
    mappings: tuple[FieldMapping, ...] | None = None
    is_open: bool = False


class _Unanswered(Exception):
    """A function that an author wrote has no answer."""


@dataclass(slots=True)
class Shapes:
    """Reads one declaration. `noun` is what it names: event or flow."""

    declaration: Declaration
    noun: str
    context: DeployContext | None
    mistakes: list[str] = field(default_factory=list)

    def read(self) -> list[Wanted]:
        """What is waited for, in the order written."""
        self._check_options()
        wanted: list[Wanted] = []
        try:
            wanted += [each for item in self._items() if (each := self._wanted(item)) is not None]
        except _Unanswered as error:
            self._mistake(str(error))
        names = [each.name for each in wanted if each.name is not None]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._mistake(f"names {self.noun} {name!r} twice: name each once.")
        return wanted

    def _items(self) -> Iterator[object]:
        one, many = self.declaration.one, self.declaration.many
        if one is not None and many is not None:
            self._mistake(f"takes {self.noun}= or {self.noun}s=, not both.")
        elif many is None and one is not None:
            yield one
        elif isinstance(many := self._asked(many), list | tuple) and many:
            yield from many
        elif many is None or isinstance(many, list | tuple):
            self._mistake(f'names no {self.noun}: write {self.noun}="…" or {self.noun}s=[…].')
        elif not callable(many):
            self._mistake(f"{self.noun}s= is a list, not {many!r}.")
        else:
            yield many  # a function that nobody can ask yet

    def _wanted(self, item: object) -> Wanted | None:
        item = self._asked(item)
        if callable(item):
            return Wanted(None, is_open=True)
        if isinstance(item, str):
            return self._named(Wanted(item))
        if isinstance(item, Mapping):
            return self._from_mapping(item)
        parameters = ', "parameters": …' if self.noun == "event" else ""
        self._mistake(
            f'{item!r} is no {self.noun}: write its name, {{"name": …{parameters}}}, or a function'
            " of the deploy context that returns one of these."
        )
        return None

    def _from_mapping(self, item: Mapping[object, object]) -> Wanted | None:
        known = {"name", "parameters"} if self.noun == "event" else {"name", *_PROJECT_KEYS}
        unknown = sorted(str(key) for key in item if key not in known)
        name, parameters = self._asked(item.get("name")), self._asked(item.get("parameters"))
        if unknown:
            self._mistake(f"does not know {', '.join(map(repr, unknown))} of {item!r}: remove it.")
        given = [key for key in _PROJECT_KEYS if item.get(key) is not None]
        if len(given) == 1:
            (missing,) = set(_PROJECT_KEYS) - set(given)
            self._mistake(
                f"{item!r} says {given[0]!r} and not {missing!r}: say both, or neither for a flow"
                " of the same namespace."
            )
            return None
        if given:
            self._mistake(f"{item!r}: naming another project's or branch's flow {LATER}.")
            return None
        if not (callable(name) or isinstance(name, str)):
            self._mistake(f'{item!r} says no "name": add the name of the {self.noun}.')
            return None
        is_open, mappings = callable(name) or callable(parameters), self._mappings(parameters)
        if isinstance(name, str):
            return self._named(Wanted(name, mappings, is_open))
        return Wanted(None, mappings, is_open)

    def _named(self, wanted: Wanted) -> Wanted | None:
        name = wanted.name or ""
        is_foreign = "/" in name or (self.noun == "flow" and "." in name)
        if self.noun == "flow" and name.count(".") == 1:
            self._mistake(f"{name!r} has one dot: a flow is Flow, or in full project.branch.Flow.")
        elif is_foreign:
            self._mistake(f"{name!r}: naming another project's or branch's {self.noun} {LATER}.")
        elif self.noun == "flow" and not _FLOW.fullmatch(name):
            self._mistake(f"{name!r} is no name of a flow: use letters, digits and '_'.")
        elif self.noun == "event" and (mistake := _event_mistake(name)):
            self._mistake(mistake)
        else:
            return wanted
        return None

    def _mappings(self, written: object) -> tuple[FieldMapping, ...] | None:
        if written is None or callable(written):
            return None
        if isinstance(written, Mapping):
            pairs: list[object] = list(written.items())
        elif isinstance(written, list | tuple):
            pairs = [(each, each) if isinstance(each, str) else each for each in written]
        else:
            self._mistake(f"parameters= cannot be {written!r}: write {_FIELDS_SHAPES}.")
            return None
        return tuple(found for pair in pairs if (found := self._mapping(pair)) is not None)

    def _mapping(self, pair: object) -> FieldMapping | None:
        match pair:
            case (str() as parameter, str() as path):
                pass
            case _:
                self._mistake(f"parameters= cannot have {pair!r}: write {_FIELDS_SHAPES}.")
                return None
        if not _FIELD.fullmatch(path):
            self._mistake(f"{path!r} is no payload field: write a name, or a path like table.name.")
            return None
        if path in RESERVED_FIELDS:
            self._mistake(
                f"payload field {path!r} is reserved, no payload has it: read it from"
                f" current.trigger.event.{path} instead."
            )
            return None
        return FieldMapping(parameter, path)

    def _check_options(self) -> None:
        options = self.declaration.options
        if options is None:
            return
        if not isinstance(options, Mapping):
            self._mistake(f"options= is a dict, not {options!r}.")
            return
        for option in options:
            what = LATER if option == "reset_at" else "is not known: remove it"
            self._mistake(f"options={{{option!r}: …}} {what}.")

    def _asked(self, value: object) -> object:
        """What a function answers; anything else, or without a context, `value` itself."""
        if self.context is None or not callable(value):
            return value
        try:
            return value(self.context)
        except Exception as error:
            name = getattr(value, "__qualname__", repr(value))
            raise _Unanswered(
                f"the function {name} fails with {type(error).__name__}: {error}. It is asked with"
                " a DeployContext."
            ) from error

    def _mistake(self, message: str) -> None:
        self.mistakes.append(f"@{self.declaration.decorator}: {message}")


def _event_mistake(name: str) -> str | None:
    try:
        check_event_name(name)
    except InvalidName as error:
        return str(error)
    return None
