"""A store that is waited for: what a task reads and writes through.

A runner whose store is away tries the same step again while its tasks go on. So does a task: an
outage of the store is no failure of the flow. Only StoreUnreachable is waited out; what somebody
has to mend (credentials, a missing bucket) is raised at once.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from eventflow.errors import StoreUnreachable
from eventflow.store.pieces import in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from eventflow.store.pieces import Data
    from eventflow.store.port import ObjectInfo, Store

__all__ = ["PatientStore"]

T = TypeVar("T")

_PAUSE_SECONDS = 1.0
_MOST_HELD_BYTES = 64 * 2**20


class PatientStore:
    """Another store, each call repeated until there is an answer.

    A repeat is harmless by the store's contract: what is put has a name that says its content,
    or is put if absent. Waits without an end: the process that waits has an owner that ends it.
    The first failure of a call is told on stderr, which is kept with the task.
    """

    def __init__(self, store: Store, pause: Callable[[float], None] = time.sleep) -> None:
        self._store, self._pause = store, pause

    @property
    def url(self) -> str:
        return self._store.url

    def get(self, key: str) -> bytes:
        return self._insist(lambda: self._store.get(key))

    def get_own(self, key: str) -> memoryview:
        return self._insist(lambda: self._store.get_own(key))

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        left = deque(keys)
        reading: Iterator[tuple[str, bytes | None]] | None = None

        def take() -> tuple[str, bytes | None]:
            nonlocal reading
            # After a failure anew, with what was not taken yet.
            now = reading if reading is not None else self._store.get_all(tuple(left))
            reading = None
            found = next(now)
            reading = now
            return found

        while left:
            found = self._insist(take)
            left.popleft()
            yield found

    def put(self, key: str, data: Data) -> None:
        self._insist(lambda: self._store.put(key, data))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        # After a lost answer False may mean that this call won: as of every store.
        return self._insist(lambda: self._store.put_if_absent(key, data))

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        for batch in in_batches(objects, _MOST_HELD_BYTES):
            self._insist(partial(self._store.put_all, batch))

    def rely_on(self, prefix: str) -> None:
        self._store.rely_on(prefix)

    def rehearse(self) -> None:
        self._store.rehearse()

    def info(self, key: str) -> ObjectInfo | None:
        return self._insist(lambda: self._store.info(key))

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        def found() -> list[ObjectInfo]:
            return [*self._store.list(prefix, folders=folders, limit=limit, after=after)]

        yield from self._insist(found)

    def delete(self, keys: Sequence[str]) -> None:
        self._insist(lambda: self._store.delete(keys))

    def _insist(self, call: Callable[[], T]) -> T:
        is_told = False
        while True:
            try:
                return call()
            except StoreUnreachable as error:
                if not is_told:
                    sys.stderr.write(f"eventflow: waiting for the store: {error}\n")
                is_told = True
                self._pause(_PAUSE_SECONDS)
