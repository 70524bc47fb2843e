"""Stores around a real one: some do less than they should, one notes what is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from eventflow.store.pieces import Data
from eventflow.store.port import ObjectInfo, Store

__all__ = ["LosesAnswers", "NotesReads", "RefusesAll", "TakesAll"]


@dataclass(frozen=True)
class _Around:
    """Passes everything on."""

    inner: Store

    @property
    def url(self) -> str:
        return self.inner.url

    def get(self, key: str) -> bytes:
        return self.inner.get(key)

    def get_own(self, key: str) -> memoryview:
        return self.inner.get_own(key)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        return self.inner.get_all(keys)

    def put(self, key: str, data: Data) -> None:
        self.inner.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.inner.put_if_absent(key, data)

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        self.inner.put_all(objects)

    def rely_on(self, prefix: str) -> None:
        self.inner.rely_on(prefix)

    def rehearse(self) -> None:
        self.inner.rehearse()

    def info(self, key: str) -> ObjectInfo | None:
        return self.inner.info(key)

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        return self.inner.list(prefix, folders=folders, limit=limit, after=after)

    def delete(self, keys: Sequence[str]) -> None:
        self.inner.delete(keys)


@dataclass(frozen=True)
class LosesAnswers(_Around):
    """Every conditional put is done, its answer is lost, and it is done again.

    `lost` has the keys whose winner was told that it had not won.
    """

    lost: list[str] = field(default_factory=list)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if self.inner.put_if_absent(key, data):
            self.lost.append(key)
        return self.inner.put_if_absent(key, data)


class TakesAll(_Around):
    """Ignores the condition of a conditional put, as older S3-compatible servers do."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.inner.put(key, data)
        return True


class RefusesAll(_Around):
    """Says that every key is taken."""

    def put_if_absent(self, key: str, data: bytes) -> bool:  # noqa: ARG002 - the port's names
        return False


@dataclass(frozen=True)
class NotesReads(_Around):
    """Keeps the keys that were read."""

    reads: list[str] = field(default_factory=list)

    def get(self, key: str) -> bytes:
        self.reads.append(key)
        return self.inner.get(key)

    def get_own(self, key: str) -> memoryview:
        self.reads.append(key)
        return self.inner.get_own(key)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        for key, data in self.inner.get_all(keys):
            self.reads.append(key)
            yield key, data
