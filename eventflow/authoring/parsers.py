"""Parsers of files: functions of the author's, or their names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["find_parser", "parser_mistake"]


def parser_mistake(parser: object) -> str | None:
    """What is wrong with how a parser is given; its module is not imported."""
    if parser is None or callable(parser):
        return None
    if isinstance(parser, str) and "." in parser.strip("."):
        return None
    return f'parser={parser!r} is neither a function nor the name of one, "module.function".'


def find_parser(parser: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function.

    Raises:
        ImportError: it is a name, and there is no function of that name.
    """
    if callable(parser):
        return parser
    module, _, name = parser.rpartition(".")
    found: Callable[[Any], Any] | None = getattr(import_module(module), name, None)
    if found is None:
        raise ImportError(f"module {module!r} has no {name!r}")
    return found
