"""What may be the key of an object, in every store.

A key is parts joined by `/`. No part is empty, `.` or `..`, so that no key leads out of a
folder; none has control characters or is too long for a file name. The first part `.tmp` is
the local store's own.
"""

from __future__ import annotations

import re

from eventflow.errors import InvalidName

__all__ = ["RESERVED_PART", "check_key", "check_prefix"]

RESERVED_PART = ".tmp"
_LONGEST_PART_BYTES = 255
# S3 takes 1024; the rest is for the prefix in the store's URL.
_LONGEST_KEY_BYTES = 900
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_key(key: str) -> str:
    """`key` itself.

    Raises:
        InvalidName: no object can have it; the message says why.
    """
    _check_text(key)
    _check_parts(key, key.split("/"))
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` itself, when keys can begin with it; it may end inside of a part.

    Raises:
        InvalidName: no key can begin with it.
    """
    _check_text(prefix)
    _check_parts(prefix, prefix.split("/")[:-1])
    return prefix


def _check_text(key: str) -> None:
    if _CONTROL.search(key):
        raise InvalidName(f"{key!r} cannot be a key of the store: it has control characters.")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidName(f"{key!r} cannot be a key of the store: it is no Unicode.") from error
    if size > _LONGEST_KEY_BYTES:
        raise InvalidName(
            f"{key!r} cannot be a key of the store: it is longer than {_LONGEST_KEY_BYTES} bytes."
            " Use shorter names for project, branch, flow and step."
        )


def _check_parts(key: str, parts: list[str]) -> None:
    if parts and parts[0] == RESERVED_PART:
        raise InvalidName(f"{key!r} cannot be a key of the store: {RESERVED_PART} is taken.")
    for part in parts:
        if part in {"", ".", ".."}:
            raise InvalidName(f"{key!r} cannot be a key of the store: it has a part {part!r}.")
        if len(part.encode()) > _LONGEST_PART_BYTES:
            raise InvalidName(
                f"{key!r} cannot be a key of the store: {part!r} is longer than"
                f" {_LONGEST_PART_BYTES} bytes. Use shorter names."
            )
