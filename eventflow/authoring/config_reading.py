"""From a file or a value that somebody gave to a configuration, as JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventflow.authoring.parsers import find_parser
from eventflow.errors import InvalidPayload
from eventflow.model.config_value import plain
from eventflow.model.payload import encode_value

if TYPE_CHECKING:
    from eventflow.authoring.config import ConfigDeclaration
    from eventflow.authoring.deploy_context import DeployContext

__all__ = ["Unreadable", "read_config"]


class Unreadable(Exception):
    """Why a configuration has no value; for people, without its name."""


def read_config(
    declared: ConfigDeclaration, path: str | None, text: str | None, context: DeployContext
) -> str | None:
    """Its value as JSON text: from the file or the text that is given, else by its defaults.
    None when there is neither; a file has to be there.

    Raises:
        Unreadable: there is no such file, or what it says is no value of a configuration.
    """
    if text is not None:
        return _as_text(declared, _parsed(declared, text, "what is given"))
    if path is None and declared.path is None:
        return _default(declared, context)
    where = path if path is not None else _asked(declared.path, context)
    if not isinstance(where, str):
        raise Unreadable(f"its default is a path, not {where!r}")
    return _as_text(declared, _parsed(declared, _content(where), where))


def _default(declared: ConfigDeclaration, context: DeployContext) -> str | None:
    value = _asked(declared.value, context)
    if value is None:
        if declared.is_required:
            name = declared.name
            raise Unreadable(
                f"it is required: give --config {name} FILE or --config-value {name} JSON before"
                " the command"
            )
        return None
    if isinstance(value, str):
        value = _parsed(declared, value, "its default_value")
    return _as_text(declared, value)


def _asked(value: Any, context: DeployContext) -> Any:
    if not callable(value):
        return value
    try:
        return value(context)
    except Exception as error:
        raise Unreadable(f"its default failed: {type(error).__name__}: {error}") from error


def _content(path: str) -> str:
    file = Path(path).expanduser()
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{file.absolute()} is no UTF-8: {error}") from error
    except OSError as error:
        raise Unreadable(
            f"{file.absolute()} cannot be read: {error.strerror or error}; paths are relative to"
            " the folder in which the command runs"
        ) from error


def _parsed(declared: ConfigDeclaration, text: str, what: str) -> Any:
    if declared.parser is None and declared.plain:
        return text
    try:
        return json.loads(text) if declared.parser is None else find_parser(declared.parser)(text)
    except Exception as error:
        how = "is no JSON" if declared.parser is None else "cannot be parsed"
        hint = "" if declared.parser else "; say parser= for another format"
        raise Unreadable(f"{what} {how}: {type(error).__name__}: {error}{hint}") from error


def _as_text(declared: ConfigDeclaration, value: Any) -> str:
    if not declared.plain and not isinstance(value, Mapping):
        raise Unreadable(
            f"its value is a {type(value).__name__}, and a JSON object of names and values is"
            " expected; for anything else say plain=True"
        )
    try:
        return encode_value(plain(value))
    except InvalidPayload as error:
        said = str(error).removesuffix(".").replace("The payload", "its value")
        raise Unreadable(f"{said.replace('an event', 'a configuration')}") from error
