"""The store in a bucket of S3, or of any server that speaks S3 with conditional writes.

Keeps the contract of `port` with `If-None-Match: *` on PutObject and CompleteMultipartUpload:
412 says that somebody was first. Credentials come from where boto3 looks for them. Large values
go and come in parts, several at a time. A call that gets no answer is repeated and gives up
within 15 seconds (connecting times out per address of the endpoint).

A writer that dies inside a large put leaves parts that are no object; a lifecycle rule with
`AbortIncompleteMultipartUpload` removes them.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import closing
from datetime import UTC
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
)

from eventflow.errors import EventflowError, ObjectMissing, StoreUnreachable
from eventflow.store.keys import check_key, check_prefix
from eventflow.store.pieces import pieces_of
from eventflow.store.port import ObjectInfo
from eventflow.store.s3.answers import MOST_ATTEMPTS, Place, Taken, UploadGone, attempts
from eventflow.store.s3.connection import bucket_and_prefix, connect
from eventflow.store.s3.parallel import in_order, in_parallel
from eventflow.store.s3.rehearsal import rehearse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        DeleteTypeDef,
        HeadObjectOutputTypeDef,
    )

    from eventflow.settings import StoreSettings
    from eventflow.store.pieces import Data, Pieces
    from eventflow.store.s3.connection import Connection

__all__ = ["S3Store"]

T = TypeVar("T")

_LARGE_BYTES = 16 * 2**20
_PART_BYTES = 8 * 2**20
_MOST_PARTS = 10_000
_CHUNK_BYTES = 256 * 1024
# From here on, asking whether an object stands costs less than sending it.
_LOOK_FIRST_BYTES = 2**20
_KEYS_PER_REQUEST = 1000
# Pauses of 0.1 to 1.6 s: a server that restarts is waited for; all of it stays below 15 s.
_FIRST_PAUSE_SECONDS = 0.1
# AWS says "several minutes" of CompleteMultipartUpload.
_LONGEST_COMPLETION_SECONDS = 600


class S3Store:
    """Objects of a bucket, below the prefix of the URL."""

    def __init__(self, settings: StoreSettings) -> None:
        """Does no I/O on the bucket.

        Raises:
            InvalidSettings: the URL, the endpoint or the region cannot be.
        """
        self._settings = settings
        self._bucket, self._prefix = bucket_and_prefix(settings.url or "")
        self._place = Place(self.url, self._bucket, settings.endpoint_url)
        self._connection = connect(settings)
        self._is_bucket_seen = False

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def get(self, key: str) -> bytes:
        name = self._name(key)
        first, size = self._call(key, partial(self._get_unless_large, name))
        return first if first is not None else bytes(self._get_large(key, size))

    def get_own(self, key: str) -> memoryview:
        name = self._name(key)
        first, size = self._call(key, partial(self._get_unless_large, name))
        return memoryview(bytearray(first)) if first is not None else self._get_large(key, size)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        calls = (partial(self._get_first, key) for key in keys)
        for key, data, size in in_order(self._live.pool, calls):
            # A large one takes all threads for itself, from this one.
            yield key, bytes(self._get_large(key, size)) if data is None and size else data

    def put(self, key: str, data: Data) -> None:
        pieces = pieces_of(data)
        if pieces.size_bytes >= _LARGE_BYTES:
            self._put_large(key, pieces, only_new=False)
        elif not self._stands(key, pieces):
            name, client, body = self._name(key), self._live.client, pieces.joined()
            self._call(key, lambda: client.put_object(Bucket=self._bucket, Key=name, Body=body))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put_if_absent(key, pieces_of(data))

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        in_parallel(self._live.pool, self._puts(objects))

    def rely_on(self, prefix: str) -> None:
        """Nothing: there are no folders on the way to an object."""

    def rehearse(self) -> None:
        # Not `_live`: that makes the client this process's own.
        rehearse(self._connection.client, self._bucket, f"{self._prefix}rehearsal")

    def info(self, key: str) -> ObjectInfo | None:
        answer = self._head(key)
        if answer is None:
            self._check_bucket()
            return None
        return ObjectInfo(key, answer["ContentLength"], answer["LastModified"].astimezone(UTC))

    def list(
        self, prefix: str, *, folders: bool = False, limit: int | None = None, after: str = ""
    ) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        request: dict[str, Any] = {
            "Bucket": self._bucket,
            "Prefix": self._prefix + prefix,
            "MaxKeys": min(limit or _KEYS_PER_REQUEST, _KEYS_PER_REQUEST),
        }
        if folders:
            request["Delimiter"] = "/"
        if after:
            request["StartAfter"] = self._prefix + after
        # Servers differ in whether a folder that `after` is in comes again.
        entries = (each for each in self._entries(request) if each.key > after)
        return islice(entries, limit)

    def delete(self, keys: Sequence[str]) -> None:
        client = self._live.client
        for start in range(0, len(keys), _KEYS_PER_REQUEST):
            names = [self._name(key) for key in keys[start : start + _KEYS_PER_REQUEST]]
            self._call(keys[start], partial(self._delete, client, names))

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        name, client = self._name(key), self._live.client
        try:
            return self._call(key, lambda: client.head_object(Bucket=self._bucket, Key=name))
        except ObjectMissing:
            return None

    # ── one request each, as _call repeats them ──────────────────────────────

    def _get_unless_large(self, name: str) -> tuple[bytes | None, int]:
        answer = self._live.client.get_object(Bucket=self._bucket, Key=name)
        size = answer["ContentLength"]
        with closing(answer["Body"]) as body:
            return (None if size >= _LARGE_BYTES else body.read()), size

    def _get_range(self, name: str, start: int, into: memoryview) -> None:
        byte_range = f"bytes={start}-{start + len(into) - 1}"
        answer = self._live.client.get_object(Bucket=self._bucket, Key=name, Range=byte_range)
        at = 0
        with closing(answer["Body"]) as body:
            while at < len(into) and (chunk := body.read(min(_CHUNK_BYTES, len(into) - at))):
                into[at : at + len(chunk)] = chunk
                at += len(chunk)
        if at < len(into):
            raise IncompleteReadError(actual_bytes=at, expected_bytes=len(into))

    def _delete(self, client: S3Client, names: Sequence[str]) -> None:
        objects: DeleteTypeDef = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = client.delete_objects(Bucket=self._bucket, Delete=objects)
        for error in answer.get("Errors", ()):
            if error.get("Code") != "NoSuchKey":
                raise ClientError({"Error": error}, "DeleteObjects")

    # ── several requests ─────────────────────────────────────────────────────

    def _get_first(self, key: str) -> tuple[str, bytes | None, int]:
        """The object, or the size of a large one, or nothing."""
        try:
            return key, *self._call(key, partial(self._get_unless_large, self._name(key)))
        except ObjectMissing:
            return key, None, 0

    def _get_large(self, key: str, size: int) -> memoryview:
        name, whole = self._name(key), memoryview(bytearray(size))

        def get(start: int) -> None:
            into = whole[start : start + _PART_BYTES]
            self._call(key, partial(self._get_range, name, start, into))

        starts = range(0, size, _PART_BYTES)
        in_parallel(self._live.pool, (partial(get, start) for start in starts))
        return whole

    def _puts(self, objects: Iterable[tuple[str, Data]]) -> Iterator[Callable[[], bool]]:
        for key, data in objects:
            put = partial(self._put_if_absent, key, pieces_of(data))
            if pieces_of(data).size_bytes >= _LARGE_BYTES:
                put()  # which takes all threads for itself
            else:
                yield put

    def _put_if_absent(self, key: str, data: Pieces) -> bool:
        try:
            if data.size_bytes >= _LARGE_BYTES:
                return self._put_large(key, data, only_new=True)
            if self._stands(key, data):
                return False
            name, client, body = self._name(key), self._live.client, data.joined()
            put = partial(client.put_object, Bucket=self._bucket, Key=name, Body=body)
            self._call(key, lambda: put(IfNoneMatch="*"))
        except Taken:
            return False
        return True

    def _stands(self, key: str, data: Pieces) -> bool:
        """Whether it is known, before it is sent, that there is an object of that key."""
        return data.size_bytes >= _LOOK_FIRST_BYTES and self._head(key) is not None

    def _put_large(self, key: str, data: Pieces, *, only_new: bool) -> bool:
        """Whether this call wrote it."""
        for _ in range(MOST_ATTEMPTS):
            if self._stands(key, data):
                return False
            try:
                return self._upload(key, data, only_new=only_new)
            except UploadGone:
                continue
        raise StoreUnreachable(f"{self.url}/{key} could not be uploaded: its upload was ended.")

    def _upload(self, key: str, data: Pieces, *, only_new: bool) -> bool:
        """Whether the server said that it took this one."""
        name, client = self._name(key), self._live.client
        begin = partial(client.create_multipart_upload, Bucket=self._bucket, Key=name)
        upload_id = self._call(key, begin)["UploadId"]
        where = partial(_in_upload, self._bucket, name, upload_id)
        try:
            parts = self._upload_parts(key, data, where)
            complete = where(client.complete_multipart_upload, MultipartUpload={"Parts": parts})
            return self._complete(key, partial(complete, IfNoneMatch="*") if only_new else complete)
        except BaseException as error:
            try:
                self._call(key, where(client.abort_multipart_upload))
            except EventflowError as failure:
                error.add_note(f"Parts of the upload may be left: {failure}")
            raise

    def _complete(self, key: str, request: Callable[[], Any]) -> bool:
        """Whether the server said so; else the object was seen to stand.

        Putting parts together may take a server longer than any answer. It is not told a second
        time while it does, nor that the upload is off: some lose the object then.
        """
        try:
            self._call(key, request, once_if_slow=True)
        except StoreUnreachable as error:
            if not isinstance(error.__cause__, ReadTimeoutError):
                raise
            for _ in range(_LONGEST_COMPLETION_SECONDS):
                if self._head(key) is not None:
                    return False
                time.sleep(1)
            raise
        return True

    def _upload_parts(
        self, key: str, data: Pieces, where: Callable[..., Callable[[], Any]]
    ) -> Sequence[CompletedPartTypeDef]:
        client = self._live.client
        total = data.size_bytes
        size = max(_PART_BYTES, -(-total // _MOST_PARTS))

        def upload(number: int) -> CompletedPartTypeDef:
            body = b"".join(data.between((number - 1) * size, number * size))
            put = where(client.upload_part, PartNumber=number, Body=body)
            return {"PartNumber": number, "ETag": self._call(key, put)["ETag"]}

        numbers = range(1, -(-total // size) + 1)
        return in_parallel(self._live.pool, (partial(upload, number) for number in numbers))

    def _entries(self, request: dict[str, Any]) -> Iterator[ObjectInfo]:
        client = self._live.client
        while True:
            answer = self._call("", partial(client.list_objects_v2, **request))
            found = [
                ObjectInfo(
                    self._key(each["Key"]), each["Size"], each["LastModified"].astimezone(UTC)
                )
                for each in answer.get("Contents", ())
                if not each["Key"].endswith("/")  # what consoles make to show a folder
            ]
            found += [
                ObjectInfo(self._key(each["Prefix"]), 0, None, is_folder=True)
                for each in answer.get("CommonPrefixes", ())
            ]
            yield from sorted(found, key=lambda each: each.key)
            if not answer["IsTruncated"]:
                return
            request = {**request, "ContinuationToken": answer["NextContinuationToken"]}

    def _check_bucket(self) -> None:
        """The answer to a HEAD does not say whether the object is missing, or the bucket."""
        if not self._is_bucket_seen:
            next(self.list("", limit=1), None)
            self._is_bucket_seen = True

    # ── the one seam ─────────────────────────────────────────────────────────

    @property
    def _live(self) -> Connection:
        """The connection of this process; sockets and threads of a parent are not used."""
        pid = os.getpid()
        if self._connection.pid not in (None, pid):
            self._connection = connect(self._settings)
        self._connection.pid = pid
        return self._connection

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _key(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def _call(self, key: str, request: Callable[[], T], *, once_if_slow: bool = False) -> T:
        """The answer to a request, repeated where that may help; every error as one of ours."""
        for attempt in count(1):
            try:
                return request()
            except (BotoCoreError, ClientError) as error:
                is_slow = isinstance(error, ReadTimeoutError)
                if attempt >= attempts(error) or (is_slow and once_if_slow):
                    raise self._place.error(error, key) from error
            pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            time.sleep(pause * random.uniform(0.5, 1))
        raise AssertionError


def _in_upload(
    bucket: str, name: str, upload_id: str, request: Callable[..., Any], **arguments: Any
) -> Callable[..., Any]:
    return partial(request, Bucket=bucket, Key=name, UploadId=upload_id, **arguments)
