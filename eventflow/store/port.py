"""The store: immutable objects under keys, and one conditional write. The contract.

Both backends keep every promise below and pass `tests/contract/test_store.py`. Keys are
`/`-separated, relative to the root of the store. Nothing is ever overwritten: an object is put
under a name that says its content (a digest), or by `put_if_absent`.

Any call may raise StoreUnreachable (no answer after the retries), StoreForbidden (refused
credentials) or BucketMissing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from eventflow.store.pieces import Data

__all__ = ["ObjectInfo", "Store"]


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object, or with `is_folder` a common prefix (then `key` ends in `/`, size is 0).

    `modified_at` is the store's own time, aware UTC; None for a folder.
    """

    key: str
    size_bytes: int
    modified_at: datetime | None
    is_folder: bool = False


class Store(Protocol):
    """An object store. Safe to use from several threads; made but unused, safe to fork."""

    @property
    def url(self) -> str:
        """Where it is: `s3://bucket/prefix` or `file:///path`."""

    def get(self, key: str) -> bytes:
        """The whole object, as put: all of it or an error.

        Raises:
            ObjectMissing: there is none.
        """

    def get_own(self, key: str) -> memoryview:
        """As `get`, in memory that is the caller's to change: the object stays as it is."""

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """The objects of these keys, in the order of the keys; None for one that is missing.

        Read as they are taken, and a bounded number ahead where that helps: it may be given up
        at any time. An object that is put meanwhile may be seen or not.
        """

    def put(self, key: str, data: Data) -> None:
        """Write an object whose name says its content; a repeat is harmless.

        On return it is durable and every reader sees it whole. A large one that stands already
        is not sent.
        """

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object if no other has that key; whether this call wrote it.

        Of any number of racing writers exactly one wins, and readers see its bytes ever after.
        False may also mean that *this* writer won and the answer was lost: what decides
        something goes through `eventflow.store.deciding.decide`.
        """

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        """`put_if_absent` of each, in any order and in parallel where that helps.

        On return all keys exist. Taken as they are put, a bounded number of bytes ahead. For
        content that does not depend on who writes it.
        """

    def rely_on(self, prefix: str) -> None:
        """Take it that a put below `prefix` has returned, in whatever process: what the store
        would do for the way there is done. Only a hint; nothing is looked at."""

    def rehearse(self) -> None:
        """Do once what each process does at its first read and write, without reading or writing:
        no contact with the store, nothing is left, and a fork may follow."""

    def info(self, key: str) -> ObjectInfo | None:
        """What is known of an object without reading it; None when there is none."""

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        """Objects whose keys begin with `prefix`, in the order of the keys' UTF-8 bytes.

        With `folders`, what lies below the next `/` after the prefix is one entry. `after`
        leaves out keys up to and including it.
        """

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; absent ones are no error. Only for marks of life, pieces of output, and
        collected blobs."""
