"""What a service asks of its store at its start: that of two racing writers exactly one wins.

Everything that decides something hangs on it (docs/protocols.md §7), and there are servers that
take a conditional write and ignore the condition.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING

from eventflow.errors import ObjectMissing, StoreUnsuitable
from eventflow.store.deciding import decide
from eventflow.store.layout import probe_key

if TYPE_CHECKING:
    from eventflow.effects import Ids
    from eventflow.store.port import Store

__all__ = ["probe"]

_ROUNDS = 3
_WRITERS = 2


def probe(store: Store, ids: Ids) -> None:
    """Race for a few new keys, list and remove them; return when the store is good.

    Raises:
        StoreUnsuitable: a race had two winners or none, or the winner's object is not listed.
        StoreForbidden, BucketMissing, StoreUnreachable: from the first call, as of any.
    """
    with ThreadPoolExecutor(_WRITERS) as writers:
        for _ in range(_ROUNDS):
            key = probe_key(ids.token())
            _race(store, key, [ids.token() for _ in range(_WRITERS)], writers)
            _find(store, key)
            store.delete([key])


def _race(store: Store, key: str, nonces: list[str], writers: ThreadPoolExecutor) -> None:
    together = Barrier(len(nonces))
    try:
        winners = sum(writers.map(partial(_wins, store, key, together), nonces))
    except ObjectMissing as error:
        raise _unsuitable(store, "none of two writers of a new key won") from error
    if winners != 1:
        raise _unsuitable(store, f"{winners} of two writers of a new key won")


def _wins(store: Store, key: str, together: Barrier, nonce: str) -> bool:
    together.wait()
    return decide(store, key, {}, nonce=nonce).is_mine


def _find(store: Store, key: str) -> None:
    if [each.key for each in store.list(key)] != [key]:
        raise _unsuitable(store, "an object that was just written is not listed")


def _unsuitable(store: Store, reason: str) -> StoreUnsuitable:
    return StoreUnsuitable(
        f"{store.url} is no store for eventflow: {reason}. It needs conditional writes"
        " (If-None-Match) and strongly consistent lists, as S3 and current S3-compatible servers"
        " have them."
    )
