"""Plain data as JSON, when it comes back exactly: the same types, values and order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.model.config_value import ConfigValue

if TYPE_CHECKING:
    from eventflow.store.pieces import Buffer

__all__ = ["as_config", "as_json", "from_config", "from_json"]

_SCALARS = frozenset({type(None), bool, int, float, str})
# Beyond these pickle is faster, and a structure that contains itself ends here too.
_MOST_PLAIN_VALUES = 1_000_000
_DEEPEST_PLAIN_VALUE = 100
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def as_json(value: object) -> bytes | None:
    """UTF-8; None of what JSON would change."""
    if not _is_plain(value):
        return None
    try:
        # As UTF-8 and not escaped: half a surrogate pair, which JSON would change, is an error.
        return _encode(value).encode()
    except ValueError:  # that, or an integer of more digits than Python writes
        return None


def from_json(data: Buffer) -> Any:
    """The value.

    Raises:
        CorruptObject: it is no JSON.
    """
    try:
        return _decode(str(data, "utf-8"))
    except ValueError as error:
        raise CorruptObject(f"A value is marked as JSON and is not: {error}.") from error


def as_config(value: ConfigValue) -> bytes | None:
    """UTF-8 of what it has; None when JSON would change that."""
    return as_json(value.to_dict())


def from_config(data: Buffer) -> ConfigValue:
    """The value.

    Raises:
        CorruptObject: it is no configuration.
    """
    content = from_json(data)
    if not isinstance(content, dict):
        raise CorruptObject("A value is marked as a configuration and is none.")
    return ConfigValue(content)


def _is_plain(value: object) -> bool:
    """Whether JSON gives back the same types: exact ones, no tuples, no keys but text."""
    level, seen = [value], 1
    for _ in range(_DEEPEST_PLAIN_VALUE):
        deeper: list[object] = []
        for each in level:
            if type(each) in _SCALARS:
                continue
            inner = _inside(each)
            if inner is None or (seen := seen + len(inner)) > _MOST_PLAIN_VALUES:
                return False
            deeper.extend(inner)
        if not deeper:
            return True
        level = deeper
    return False


def _inside(value: object) -> list[object] | None:
    """What a list or a dict holds; None of anything else."""
    if type(value) is list:
        return value
    if type(value) is dict and all(type(key) is str for key in value):
        return list(value.values())
    return None
