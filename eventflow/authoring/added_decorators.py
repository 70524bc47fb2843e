"""Decorators given as text, with `--with`: they are added to each step that has none of the name.

    retry
    retry:times=4,minutes_between_retries=0
    environment:vars={"MODE":"test"}

A value is JSON where it can be read as that, else the text itself.
"""

from __future__ import annotations

import json
import re

from eventflow.authoring.decorator import Declaration
from eventflow.authoring.step_decorators import BY_NAME
from eventflow.errors import InvalidDecorator

__all__ = ["parse_with"]

_NAME = re.compile(r"(\w+)\s*=\s*")
_NEXT = re.compile(r",(?=\s*\w+\s*=)")
_JSON = json.JSONDecoder()


def parse_with(text: str) -> Declaration:
    """The declaration that the value of a `--with` makes.

    Raises:
        InvalidDecorator: there is no such decorator, or it cannot be given so.
    """
    name, _, written = text.partition(":")
    if name.strip() not in BY_NAME:
        raise _invalid(text, f"there is no decorator {name!r}; there are: {', '.join(BY_NAME)}.")
    decorator = BY_NAME[name.strip()]
    found = decorator.declare(_attributes(text, written), place=("--with", 0), text=text)
    if found.mistakes:
        raise _invalid(text, " ".join(found.mistakes))
    if _has_values(found):
        raise _invalid(text, "inline secrets do not belong on a command line, which is kept.")
    return found


def _attributes(text: str, written: str) -> dict[str, object]:
    given: dict[str, object] = {}
    rest = written.strip()
    while rest:
        name = _NAME.match(rest)
        if name is None:
            raise _invalid(text, f"write {rest!r} as name=value.")
        given[name[1]], rest = _value(rest[name.end() :])
    return given


def _value(rest: str) -> tuple[object, str]:
    """The value that the rest begins with, and what comes after the comma behind it."""
    try:
        value, end = _JSON.raw_decode(rest)
        behind = rest[end:].lstrip()
        if not behind or _NEXT.match(behind):
            return value, behind[1:].lstrip()
    except json.JSONDecodeError:
        pass
    following = _NEXT.search(rest)
    end = following.start() if following else len(rest)
    return rest[:end].strip(), rest[end + 1 :].lstrip()


def _has_values(found: Declaration) -> bool:
    if found.name != "secrets":
        return False
    return any(
        isinstance(each, dict) and each.get("type") == "inline"
        for each in found.attributes["sources"]
    )


def _invalid(text: str, message: str) -> InvalidDecorator:
    shown = text.partition(":")[0] + ":…" if text.startswith("secrets") else text
    return InvalidDecorator(f"--with {shown!r}: {message}")
