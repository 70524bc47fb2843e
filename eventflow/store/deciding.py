"""A write that decides something: of all writers of one key exactly one has won, and each knows.

A conditional put answers 412 also to the winner whose first answer was lost. So a deciding
object carries its writer's nonce, and who is refused reads whose nonce stands there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject

if TYPE_CHECKING:
    from eventflow.store.port import Store

__all__ = ["Decided", "decide", "encode_json", "parse_json", "read_json"]


@dataclass(frozen=True, slots=True)
class Decided:
    """What stands under the key for ever, and whether this writer's content is it."""

    is_mine: bool
    content: dict[str, Any]


_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
_decode = json.JSONDecoder().decode


def decide(store: Store, key: str, content: dict[str, Any], *, nonce: str) -> Decided:
    """Put `content` with `nonce` under `key`, unless something stands there already."""
    mine = {"nonce": nonce, **content}
    if store.put_if_absent(key, encode_json(mine)):
        return Decided(is_mine=True, content=mine)
    standing = read_json(store, key)
    return Decided(is_mine=standing.get("nonce") == nonce, content=standing)


def encode_json(content: object) -> bytes:
    """JSON without spaces, in the order of the names."""
    return _encode(content).encode()


def read_json(store: Store, key: str) -> dict[str, Any]:
    """The JSON object under `key`.

    Raises:
        ObjectMissing: there is none.
        CorruptObject: it is no JSON object.
    """
    return parse_json(store, key, store.get(key))


def parse_json(store: Store, key: str, data: bytes) -> dict[str, Any]:
    """The JSON object that was read from `key`.

    Raises:
        CorruptObject: it is no JSON object.
    """
    try:
        content = _decode(data.decode())
    except ValueError as error:
        raise CorruptObject(f"{store.url}/{key} is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CorruptObject(f"{store.url}/{key} is no JSON object.")
    return content
