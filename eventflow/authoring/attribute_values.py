"""How the values of a decorator's attributes are read: each gives the value, or raises
InvalidDecorator with what it has to be. Numbers may be written as text, as on a command line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from eventflow.errors import InvalidDecorator

__all__ = [
    "VARIABLE_NAME",
    "amount",
    "count",
    "factor",
    "flag",
    "listing",
    "optional",
    "text",
    "variables",
]

Value = TypeVar("Value")

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What the name of an environment variable can be."""


def count(value: object) -> int:
    """A whole number, 0 or more."""
    number = _number(value)
    if number is None or number < 0 or number != int(number):
        raise InvalidDecorator(f"a whole number, 0 or more, not {value!r}")
    return int(number)


def amount(value: object) -> float:
    """A number, 0 or more."""
    number = _number(value)
    if number is None or number < 0:
        raise InvalidDecorator(f"a number, 0 or more, not {value!r}")
    return number


def factor(value: object) -> float:
    """A number, 1 or more."""
    number = _number(value)
    if number is None or number < 1:
        raise InvalidDecorator(f"a number, 1 or more, not {value!r}")
    return number


def text(value: object) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidDecorator(f"text, not {value!r}")
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InvalidDecorator(f"True or False, not {value!r}")
    return value


def listing(value: object) -> list[Any]:
    """A list; a tuple is taken for one."""
    if not isinstance(value, list | tuple):
        raise InvalidDecorator(f"a list, not {type(value).__name__}")
    return list(value)


def variables(value: object) -> dict[str, str]:
    """Environment variables by name; numbers and truth values become text."""
    if not isinstance(value, Mapping):
        raise InvalidDecorator(f"a dict of names and values, not {type(value).__name__}")
    for name, each in value.items():
        if not isinstance(name, str) or not VARIABLE_NAME.fullmatch(name):
            raise InvalidDecorator(
                f"a dict of names of variables and values: {name!r} is no such name"
            )
        if name.startswith("EVENTFLOW_"):
            raise InvalidDecorator(
                f"without settings of eventflow: set {name} where the runner starts"
            )
        if not isinstance(each, str | int | float) or "\0" in str(each):
            raise InvalidDecorator(
                f"a dict of text: the value of {name!r} is {type(each).__name__}"
            )
    return {name: str(each) for name, each in value.items()}


def optional(read: Callable[[object], Value]) -> Callable[[object], Value | None]:
    """None, or what `read` makes of it."""
    return lambda value: None if value is None else read(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
