"""Secrets in a file of the runner's machine: `file./run/secrets/db.env`.

A JSON object, or lines `NAME=value` with `#` comments; a value may stand in quotes, and `export`
before a name is passed over. `names` takes only some of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import InvalidSecret

if TYPE_CHECKING:
    from eventflow.authoring.secret_source import SecretSource

__all__ = ["read_file", "text_of_json"]

_QUOTES = ("'", '"')


def read_file(source: SecretSource) -> dict[str, str]:
    """What the file has, by name.

    Raises:
        InvalidSecret: it cannot be read or is not written so, or a name is not in it.
    """
    path = Path(source.id).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidSecret(f"The secret {source} cannot be read: {reason}.") from error
    except UnicodeDecodeError:
        # Not `from` the original, which has the bytes of the file.
        raise InvalidSecret(f"The secret {source} is no text in UTF-8.") from None
    values = _of_json(source, text) if text.lstrip().startswith("{") else _of_lines(source, text)
    names = source.options.get("names")
    if names is None:
        return values
    missing = [name for name in names if name not in values]
    if missing:
        raise InvalidSecret(f"The secret {source} has no {', '.join(missing)}.")
    return {name: values[name] for name in names}


def text_of_json(value: object) -> str:
    """A value of a JSON object as a variable has it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _of_json(source: SecretSource, text: str) -> dict[str, str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidSecret(f"The secret {source} is no JSON: {where}.") from None
    return {name: text_of_json(value) for name, value in content.items()}


def _of_lines(source: SecretSource, text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.strip().removeprefix("export ").strip()
        if not written or written.startswith("#"):
            continue
        name, equals, value = written.partition("=")
        if not equals:
            raise InvalidSecret(f"The secret {source} has no NAME=value in line {number}.")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]:
        inner = value[1:-1]
        return inner.replace("\\n", "\n").replace('\\"', '"') if value[0] == '"' else inner
    return value.partition(" #")[0].rstrip()
