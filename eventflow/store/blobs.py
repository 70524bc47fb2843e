"""Content-addressed values: a blob lies under the SHA-256 of its bytes, and is verified by it.

Equal values are one object, a repeated put is harmless, and what is read is what was put, or an
error: whoever knows a digest need not trust the store.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject
from eventflow.store.layout import blob_key
from eventflow.store.pieces import Pieces

if TYPE_CHECKING:
    from eventflow.store.pieces import Data
    from eventflow.store.port import Store

__all__ = ["digest_of", "get_blob", "get_own_blob", "put_blob"]


# Copied for each digest: OpenSSL looks an algorithm up anew for each object that it makes, which
# in a task is its first use, and costs more than a small digest.
_NOTHING = hashlib.sha256()


def digest_of(data: Data | bytearray) -> str:
    """The hexadecimal SHA-256 of `data`."""
    digest = _NOTHING.copy()
    for view in data.views if isinstance(data, Pieces) else (data,):
        digest.update(view)
    return digest.hexdigest()


def put_blob(store: Store, project: str, data: Data) -> str:
    """Put `data` below a project; its digest. On return the blob is durable."""
    digest = digest_of(data)
    store.put(blob_key(project, digest), data)
    return digest


def get_blob(store: Store, project: str, digest: str) -> bytes:
    """The bytes whose digest it is.

    Raises:
        ObjectMissing: the project has no such blob.
        CorruptObject: the bytes are not the ones that were put.
    """
    key = blob_key(project, digest)
    data = store.get(key)
    _verify(data, digest, store, key)
    return data


def get_own_blob(store: Store, project: str, digest: str) -> memoryview:
    """As `get_blob`, in memory that is the caller's to change."""
    key = blob_key(project, digest)
    data = store.get_own(key)
    _verify(data, digest, store, key)
    return data


def _verify(data: bytes | memoryview, digest: str, store: Store, key: str) -> None:
    found = digest_of(data)
    if found != digest:
        raise CorruptObject(
            f"{store.url}/{key} has the SHA-256 {found}: its bytes changed after they were"
            " written. Restore it from a backup, or run again what made it."
        )
