"""What is put, as boto3 takes it: a binary file or its path, and what is kept beside it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from eventflow.datatools.objects import S3PutObject
from eventflow.datatools.told import METADATA_NAME
from eventflow.errors import InvalidS3Request

if TYPE_CHECKING:
    from eventflow.datatools.objects import PutValue

__all__ = ["body_of", "extra_of", "file_of", "put_object_of"]

_MOST_METADATA_BYTES = 2048


def put_object_of(
    given: tuple[str, PutValue] | S3PutObject, field: Literal["value", "path"]
) -> S3PutObject:
    """What stands for it in a list: an S3PutObject, or a pair of key and value, or path.

    Raises:
        InvalidS3Request: it is neither.
    """
    if isinstance(given, S3PutObject):
        return given
    try:
        key, told = given
    except (TypeError, ValueError) as error:
        raise InvalidS3Request(
            f"{given!r} cannot be put: give (key, {field}), or an S3PutObject."
        ) from error
    return S3PutObject(key, **{field: told})  # type: ignore[arg-type]


def body_of(item: S3PutObject) -> BinaryIO:
    """The value as an open file, from its beginning; the caller's own file is left open.

    Raises:
        InvalidS3Request: it is neither text nor bytes nor a binary file.
    """
    value = item.value
    if isinstance(value, str):
        return io.BytesIO(value.encode())
    if isinstance(value, bytes | bytearray | memoryview):
        return io.BytesIO(value)
    is_file = all(hasattr(value, name) for name in ("read", "seek", "tell"))
    if not is_file or isinstance(value, io.TextIOBase):
        raise InvalidS3Request(
            f"{item.key}: a {type(value).__name__} cannot be put: give text, bytes, or a file"
            " that is open for reading in binary mode."
        )
    file = cast("BinaryIO", value)
    if not file.readable() or not file.seekable():
        raise InvalidS3Request(f"{item.key}: the file cannot be read from its beginning.")
    file.seek(0)
    return cast("BinaryIO", _LeftOpen(file))


def file_of(item: S3PutObject) -> str:
    """The path of a local file.

    Raises:
        InvalidS3Request: there is none.
    """
    if item.path is None or not Path(item.path).is_file():
        raise InvalidS3Request(f"{item.key}: there is no file {item.path}.")
    return str(item.path)


def extra_of(item: S3PutObject, encryption: str | None) -> dict[str, Any]:
    """What goes along with it, in the names of PutObject.

    Raises:
        InvalidS3Request: its metadata is no JSON object, or too large.
    """
    told = {
        "ContentType": item.content_type,
        "ServerSideEncryption": item.encryption or encryption,
        "Metadata": _headers(item) if item.metadata else None,
    }
    return {name: value for name, value in told.items() if value}


def _headers(item: S3PutObject) -> dict[str, str]:
    try:
        told = json.dumps(dict(item.metadata or {}))
    except (TypeError, ValueError) as error:
        raise InvalidS3Request(
            f"{item.key}: metadata is a dict that JSON can hold: {error}."
        ) from error
    if len(METADATA_NAME) + len(told) > _MOST_METADATA_BYTES:
        raise InvalidS3Request(
            f"{item.key}: its metadata has {len(told)} bytes as JSON, and S3 takes"
            f" {_MOST_METADATA_BYTES} with its name: put it as an object of its own."
        )
    return {METADATA_NAME: told}


class _LeftOpen:
    """A file that stays open when boto3 closes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        pass
