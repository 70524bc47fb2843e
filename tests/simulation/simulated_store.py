"""A store in memory: one `Bucket` an installation, one `SimulatedStore` a process.

It is S3 as it is, not as it should be: an answer is slow or lost, a request refused, and a put
whose answer was lost may have taken place. A conditional put whose first answer was lost is sent
again, as the S3 client does it by itself, and then refused because it won. `put_all` is many
puts, of which a process that dies leaves some. What a bucket shows is whole and strongly
consistent. Called from no process, nothing goes wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from eventflow.errors import BucketMissing, ObjectMissing, StoreUnreachable
from eventflow.store.keys import check_key, check_prefix
from eventflow.store.pieces import Data, pieces_of
from eventflow.store.port import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from tests.simulation.universe import Universe

__all__ = ["Bucket", "Put", "SimulatedStore"]

_SLOW_MS = (100, 20_000)
_PATIENCE_MS = (500, 10_000)


@dataclass(frozen=True, slots=True)
class Put:
    """An object as it was written. `stamp` is its place in the order of `Universe.stamp`;
    `writer` the pid of the process."""

    key: str
    data: bytes
    at: datetime
    stamp: int
    writer: int


@dataclass
class Bucket:
    """The server's side. `puts` has every write that took place, also of a key that stood
    already, so that an overwrite can be seen; `objects` has what stands. Before `away_until`
    it answers nobody."""

    now: Callable[[], datetime]
    stamp: Callable[[], int]
    name: str = "simulated"
    is_there: bool = True
    away_until: timedelta = timedelta()
    objects: dict[str, Put] = field(default_factory=dict)
    puts: list[Put] = field(default_factory=list)

    def put(self, key: str, data: bytes, writer: int) -> None:
        """Write, whatever stands there."""
        put = self._put(key, data, writer)
        self.objects[key] = put
        self.puts.append(put)

    def put_if_absent(self, key: str, data: bytes, writer: int) -> bool:
        """Write unless something stands there; of writers in several threads one wins."""
        put = self._put(key, data, writer)
        is_mine = self.objects.setdefault(key, put) is put
        if is_mine:
            self.puts.append(put)
        return is_mine

    def _put(self, key: str, data: bytes, writer: int) -> Put:
        return Put(key, data, self.now(), self.stamp(), writer)


class SimulatedStore:
    """The client of one process."""

    def __init__(self, universe: Universe, bucket: Bucket) -> None:
        self._universe, self._bucket = universe, bucket

    @property
    def url(self) -> str:
        return f"s3://{self._bucket.name}"

    def get(self, key: str) -> bytes:
        check_key(key)
        self._ask("get", key)
        found = self._bucket.objects.get(key)
        self._answered(key)
        if found is None:
            raise ObjectMissing(f"{self.url}/{key} does not exist.")
        return found.data

    def get_own(self, key: str) -> memoryview:
        return memoryview(bytearray(self.get(key)))

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        for key in keys:
            try:
                yield key, self.get(key)
            except ObjectMissing:
                yield key, None

    def put(self, key: str, data: Data) -> None:
        check_key(key)
        self._ask("put", key)
        self._bucket.put(key, pieces_of(data).joined(), self._writer)
        self._universe.notify()
        self._answered(key)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        check_key(key)
        self._ask("put-if-absent", key)
        is_mine = self._bucket.put_if_absent(key, data, self._writer)
        self._universe.notify()
        if self._universe.happens("store.retried"):
            self._ask("put-if-absent again", key)
            is_mine = self._bucket.put_if_absent(key, data, self._writer)
        self._answered(key)
        return is_mine

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        for key, data in objects:
            self.put_if_absent(key, pieces_of(data).joined())

    def rely_on(self, prefix: str) -> None:
        """Nothing: there are no folders on the way to an object."""

    def rehearse(self) -> None:
        """Nothing: the first is as every other."""

    def info(self, key: str) -> ObjectInfo | None:
        check_key(key)
        self._ask("info", key)
        found = self._bucket.objects.get(key)
        self._answered(key)
        return _info(found) if found is not None else None

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return islice(self._listed(prefix, after, folders=folders), limit)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
        self._ask("delete", ", ".join(keys))
        for key in keys:
            self._bucket.objects.pop(key, None)
        self._answered("")

    def _listed(self, prefix: str, after: str, *, folders: bool) -> Iterator[ObjectInfo]:
        """One answer has all of it, as it was when the server was asked."""
        self._ask("list", prefix)
        found: dict[str, ObjectInfo] = {}
        for put in tuple(self._bucket.objects.values()):
            if put.key.startswith(prefix):
                info = _folded(put, prefix) if folders else _info(put)
                if info.key > after:
                    found[info.key] = info
        self._answered(prefix)
        yield from (found[key] for key in sorted(found))

    # -- what goes wrong -------------------------------------------------------------------------

    @property
    def _writer(self) -> int:
        process = self._universe.current
        return process.pid if process is not None else 0

    def _ask(self, what: str, key: str) -> None:
        """A request on its way; afterwards the server has it."""
        universe = self._universe
        universe.effect(f"store.{what} {key}")
        if universe.time < self._bucket.away_until:
            self._wait(_PATIENCE_MS)
            raise StoreUnreachable(f"{self.url}/{key}: no answer, nothing took place.")
        if universe.happens("store.refused"):
            raise StoreUnreachable(f"{self.url}/{key}: refused, nothing took place.")
        if universe.happens("store.slow"):
            self._wait(_SLOW_MS)
        if not self._bucket.is_there:
            raise BucketMissing(f"{self.url} does not exist.")

    def _wait(self, range_ms: tuple[int, int]) -> None:
        lasts = timedelta(milliseconds=self._universe.random.randint(*range_ms))
        self._universe.wait(lasts, lambda: False)

    def _answered(self, key: str) -> None:
        """An answer on its way; what was asked for has taken place."""
        self._universe.effect("store.answers")
        if self._universe.happens("store.answer-lost"):
            raise StoreUnreachable(f"{self.url}/{key}: no answer; it may have taken place.")


def _info(put: Put) -> ObjectInfo:
    return ObjectInfo(put.key, len(put.data), put.at)


def _folded(put: Put, prefix: str) -> ObjectInfo:
    head, slash, _ = put.key.removeprefix(prefix).partition("/")
    return ObjectInfo(prefix + head + slash, 0, None, is_folder=True) if slash else _info(put)
