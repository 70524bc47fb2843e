"""From Python values to the words of a command line, by what the command says that it takes.

`python flow.py options` says it. A name that the command does not have, or a value that a command
line cannot carry, is an error before anything runs.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from eventflow.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FlowOptions", "text_of", "words_of"]

_OTHER_NAMES = {"decospecs": "with", "tags": "tag"}
"""Metaflow's names of options that can be given several times; `with` is no name in Python."""
_NAMES_IN_PYTHON = {option: name for name, option in _OTHER_NAMES.items()}


@dataclass(frozen=True, slots=True)
class _Option:
    """An option: how it is written, and how its opposite is; how many values follow it."""

    spelling: str
    opposite: str | None
    is_flag: bool
    is_repeatable: bool
    values: int


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What the command line of a flow takes: before the command, and by command after it."""

    flow: str
    before: Mapping[str, _Option]
    after: Mapping[str, Mapping[str, _Option]]

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> FlowOptions:
        """What `python flow.py options` printed."""
        after = {name: _by_name(each) for name, each in said["commands"].items()}
        return cls(said["flow"], _by_name(said["options"]), after)

    def check_before(self, before: Mapping[str, object]) -> None:
        """Check options that stand before a command.

        Raises:
            InvalidOption: all that is wrong with names and values.
        """
        _, mistakes = _words(self.before, before, self._before)
        if mistakes:
            raise InvalidOption("\n".join(mistakes))

    @property
    def _before(self) -> str:
        return f"{self.flow}, before a command,"

    def words(
        self,
        command: str,
        before: Mapping[str, object],
        after: Mapping[str, object],
        kept: Sequence[str] = (),
    ) -> list[str]:
        """The words that follow `python flow.py`. `kept` are options that the caller sets itself.

        Raises:
            InvalidOption: all that is wrong with names and values.
        """
        if command not in self.after:
            raise InvalidOption(f"{self.flow} has no command {command!r}.")
        known = {name: each for name, each in self.after[command].items() if name not in kept}
        first, mistakes = _words(self.before, before, self._before)
        last, more = _words(known, after, f"{self.flow} {command}")
        if mistakes or more:
            raise InvalidOption("\n".join([*mistakes, *more]))
        return [*first, command, *last]


def text_of(value: object) -> str:
    """What somebody would type for a value: lists and dicts are JSON.

    Raises:
        InvalidOption: there is nothing to type for it.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case PurePath():
            return os.fspath(value)
        case list() | tuple() | dict():
            return _json(value)
    raise InvalidOption(
        f"{type(value).__name__} is nothing that a command line can carry: give text, a number, a"
        " bool, or a list or dict of these."
    )


def words_of(given: Mapping[str, object]) -> dict[str, str]:
    """Names and values as somebody would type them; those that are None are not given.

    Raises:
        InvalidOption: a value cannot be typed; the message has its name.
    """
    typed: dict[str, str] = {}
    mistakes: list[str] = []
    for name, value in given.items():
        try:
            if value is not None:
                typed[name] = text_of(value)
        except InvalidOption as error:
            mistakes.append(f"{name}: {error}")
    if mistakes:
        raise InvalidOption("\n".join(mistakes))
    return typed


def _json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidOption(f"it is not JSON: {error}") from error


def _by_name(said: Sequence[Mapping[str, Any]]) -> dict[str, _Option]:
    found: dict[str, _Option] = {}
    for each in said:
        longs = [spelling for spelling in each["opts"] if spelling.startswith("--")]
        if not (each["is_option"] and longs):
            continue
        opposites = [*each["secondary_opts"], None]
        option = _Option(longs[0], opposites[0], each["is_flag"], each["multiple"], each["nargs"])
        found |= {spelling[2:].replace("-", "_"): option for spelling in longs}
    return found


def _words(
    known: Mapping[str, _Option], given: Mapping[str, object], where: str
) -> tuple[list[str], list[str]]:
    """The words, and the mistakes."""
    words: list[str] = []
    mistakes: list[str] = []
    for name, value in given.items():
        option = known.get(name) or known.get(_OTHER_NAMES.get(name, ""))
        if option is None:
            mistakes.append(f"{where} has no option {name!r}{_there(known, name)}")
            continue
        try:
            words += _option_words(option, value)
        except InvalidOption as error:
            mistakes.append(f"{where}, option {name!r}: {error}")
    return words, mistakes


def _there(known: Mapping[str, _Option], name: str) -> str:
    """What there is instead, by the names that Python code gives them."""
    names = sorted(_NAMES_IN_PYTHON.get(each, each) for each in known)
    near = get_close_matches(name, names, 1)
    there = f"has: {', '.join(names) or 'none'}."
    return f"; did you mean {near[0]!r}? It {there}" if near else f"; it {there}"


def _option_words(option: _Option, value: object) -> Iterator[str]:
    if value is None:
        return
    if option.is_flag:
        yield from _flag_words(option, value)
    elif option.values > 1:
        yield from _group_words(option, value)
    elif option.is_repeatable and isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield f"{option.spelling}={text_of(each)}"
    else:
        yield f"{option.spelling}={text_of(value)}"


def _group_words(option: _Option, value: object) -> Iterator[str]:
    """Several values at once: those of a dict, or a list of groups."""
    groups = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(groups, list | tuple):
        raise InvalidOption(f"{value!r} is neither a dict nor a list.")
    for group in groups:
        if not isinstance(group, list | tuple) or len(group) != option.values:
            raise InvalidOption(f"{group!r} has not {option.values} values.")
        yield option.spelling
        yield from (text_of(each) for each in group)


def _flag_words(option: _Option, value: object) -> Iterator[str]:
    if not isinstance(value, bool):
        raise InvalidOption(f"{value!r} is neither True nor False.")
    if value:
        yield option.spelling
    elif option.opposite:
        yield option.opposite
