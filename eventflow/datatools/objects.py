"""What the S3 data tool gives and takes: objects, parts of them, and objects to be put."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from eventflow.errors import S3Closed

__all__ = ["PutValue", "RangeInfo", "S3GetObject", "S3Object", "S3PutObject"]

PutValue = str | bytes | bytearray | memoryview | BinaryIO


class S3GetObject(NamedTuple):
    """A part of an object: `length` bytes from `offset` on; without `length` all from there, with
    a negative one so many bytes at its end."""

    key: str
    offset: int | None = None
    length: int | None = None


class S3PutObject(NamedTuple):
    """An object to be put, with what is to be kept beside it: `value` is for `put_many`, `path`
    of a local file for `put_files`."""

    key: str
    value: PutValue | None = None
    path: str | None = None
    content_type: str | None = None
    encryption: str | None = None
    metadata: dict[str, Any] | None = None


class RangeInfo(NamedTuple):
    """Which part of an object was fetched: `request_length` bytes from `request_offset` on, of
    `total_size`."""

    total_size: int
    request_offset: int = 0
    request_length: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """An object of S3, or a place where there is none; fetched, or only looked at.

    `prefix` is the url that `key` is relative to; without one the key is the whole url.
    `last_modified` is in seconds since 1970. Metadata, content type, encryption, range and time
    are None where they were not asked for.
    """

    url: str
    key: str
    prefix: str | None = None
    size: int | None = None
    content_type: str | None = None
    metadata: dict[str, Any] | None = None
    encryption: str | None = None
    range_info: RangeInfo | None = None
    last_modified: int | None = None
    file: Path | None = None

    @property
    def exists(self) -> bool:
        """Whether there is an object; a folder of a listing is none."""
        return self.size is not None

    @property
    def downloaded(self) -> bool:
        """Whether it was fetched into a file."""
        return self.file is not None

    @property
    def has_info(self) -> bool:
        """Whether more is known of it than its size."""
        known = (self.content_type, self.metadata, self.range_info, self.encryption)
        return any(each is not None for each in known)

    @property
    def path(self) -> str | None:
        """The local file, until the S3 is closed; None of what was not fetched.

        Raises:
            S3Closed: it is gone.
        """
        return None if self.file is None else str(self._standing(self.file))

    @property
    def blob(self) -> bytes | None:
        """The content; None of what was not fetched.

        Raises:
            S3Closed: its file is gone.
        """
        return None if self.file is None else self._standing(self.file).read_bytes()

    @property
    def text(self) -> str | None:
        """The content as text of UTF-8, with the replacement character for what is none.

        Raises:
            S3Closed: its file is gone.
        """
        blob = self.blob
        return None if blob is None else blob.decode(errors="replace")

    def sized(self, size_bytes: int | None) -> S3Object:
        """The same, of that size."""
        return replace(self, size=size_bytes)

    def fetched(self, file: Path) -> S3Object:
        """The same, in a file."""
        return replace(self, file=file, size=file.stat().st_size)

    def _standing(self, file: Path) -> Path:
        if not file.exists():
            raise S3Closed(
                f"The file of {self.url} is gone: files last until the S3 is closed. Read them"
                " within its `with` block, or keep .blob."
            )
        return file

    def __str__(self) -> str:
        if self.size is None:
            return f"<S3Object {self.url} (no object)>"
        where = "fetched" if self.downloaded else "in S3"
        return f"<S3Object {self.url} ({self.size} bytes, {where})>"
