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
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from eventflow.errors import (
    BucketMissing,
    EventflowError,
    InvalidName,
    InvalidSettings,
    ObjectMissing,
    StoreForbidden,
    StoreUnreachable,
    StoreUnsuitable,
)
from eventflow.store.keys import check_key, check_prefix
from eventflow.store.port import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, DeleteTypeDef

    from eventflow.settings import StoreSettings

__all__ = ["S3Store"]

T = TypeVar("T")

_LARGE_BYTES = 16 * 2**20
_PART_BYTES = 8 * 2**20
_MOST_PARTS = 10_000
_THREADS = 16
_KEYS_PER_REQUEST = 1000

_CONNECT_SECONDS = 3
_READ_SECONDS = 6
# Pauses of 0.1 to 1.6 s: a server that restarts is waited for; all of it stays below 15 s.
_ATTEMPTS = 6
_ATTEMPTS_READING = 2
_ATTEMPTS_CONNECTING = 2
_FIRST_PAUSE_SECONDS = 0.1

_UNDECIDED = {"ConditionalRequestConflict", "OperationAborted"}
_BUSY = {"SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "ThrottlingException"}
# Also with other statuses than 403; versitygw calls an unknown user XAdminUserNotFound, with 404.
_DENIED = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "XAdminUserNotFound",
}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_NO_ANSWER = (HTTPClientError, IncompleteReadError, NoConnection)


class _Taken(EventflowError):
    """412: an object of that key stands already."""


class _UploadGone(EventflowError):
    """The multipart upload is over: completed by a call whose answer was lost, or aborted."""


@dataclass(slots=True)
class _Connection:
    """A client and its threads. `pid` is the process that uses it, None before the first use.

    Neither has a socket or a thread before that, so a child may use what its parent only made:
    reading the description of S3 takes botocore a tenth of a second.
    """

    client: S3Client
    pool: ThreadPoolExecutor
    pid: int | None = None


class S3Store:
    """Objects of a bucket, below the prefix of the URL."""

    def __init__(self, settings: StoreSettings) -> None:
        """Does no I/O on the bucket.

        Raises:
            InvalidSettings: the URL, the endpoint or the region cannot be.
        """
        self._settings = settings
        self._bucket, self._prefix = _parse(settings.url or "")
        self._connection = _connect(settings)
        self._is_bucket_seen = False

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def get(self, key: str) -> bytes:
        name = self._name(key)
        first, size = self._call(key, partial(self._get_unless_large, name))
        return first if first is not None else self._get_large(key, size)

    def get_all(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        calls = (partial(self._get_first, key) for key in keys)
        for key, data, size in _in_order(self._live.pool, calls):
            # A large one takes all threads for itself, from this one.
            yield key, self._get_large(key, size) if data is None and size else data

    def put(self, key: str, data: bytes | memoryview) -> None:
        if len(data) >= _LARGE_BYTES:
            self._put_large(key, memoryview(data), only_new=False)
            return
        name, body = self._name(key), bytes(data)
        client = self._live.client
        self._call(key, lambda: client.put_object(Bucket=self._bucket, Key=name, Body=body))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        try:
            if len(data) >= _LARGE_BYTES:
                return self._put_large(key, memoryview(data), only_new=True)
            name, client = self._name(key), self._live.client
            put = partial(client.put_object, Bucket=self._bucket, Key=name, Body=data)
            self._call(key, lambda: put(IfNoneMatch="*"))
        except _Taken:
            return False
        return True

    def put_all(self, objects: Iterable[tuple[str, bytes]]) -> None:
        _in_parallel(self._live.pool, self._puts(objects))

    def rely_on(self, prefix: str) -> None:
        """Nothing: there are no folders on the way to an object."""

    def info(self, key: str) -> ObjectInfo | None:
        name, client = self._name(key), self._live.client
        try:
            answer = self._call(key, lambda: client.head_object(Bucket=self._bucket, Key=name))
        except ObjectMissing:
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

    # ── one request each, as _call repeats them ──────────────────────────────

    def _get_unless_large(self, name: str) -> tuple[bytes | None, int]:
        answer = self._live.client.get_object(Bucket=self._bucket, Key=name)
        size = answer["ContentLength"]
        with closing(answer["Body"]) as body:
            return (None if size >= _LARGE_BYTES else body.read()), size

    def _get_range(self, name: str, byte_range: str) -> bytes:
        answer = self._live.client.get_object(Bucket=self._bucket, Key=name, Range=byte_range)
        with closing(answer["Body"]) as body:
            return body.read()

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

    def _get_large(self, key: str, size: int) -> bytes:
        name, starts = self._name(key), range(0, size, _PART_BYTES)
        ranges = (f"bytes={start}-{min(start + _PART_BYTES, size) - 1}" for start in starts)
        calls = (partial(self._call, key, partial(self._get_range, name, it)) for it in ranges)
        return b"".join(_in_order(self._live.pool, calls))

    def _puts(self, objects: Iterable[tuple[str, bytes]]) -> Iterator[Callable[[], bool]]:
        for key, data in objects:
            if len(data) >= _LARGE_BYTES:
                self.put_if_absent(key, data)  # which takes all threads for itself
            else:
                yield partial(self.put_if_absent, key, data)

    def _put_large(self, key: str, data: memoryview, *, only_new: bool) -> bool:
        """Whether this call wrote it. An object that stands is not sent again."""
        for _ in range(_ATTEMPTS):
            if self.info(key) is not None:
                return False
            try:
                self._upload(key, data.cast("B"), only_new=only_new)
            except _UploadGone:
                continue
            return True
        raise StoreUnreachable(f"{self.url}/{key} could not be uploaded: its upload was ended.")

    def _upload(self, key: str, data: memoryview, *, only_new: bool) -> None:
        name, client = self._name(key), self._live.client
        begin = partial(client.create_multipart_upload, Bucket=self._bucket, Key=name)
        upload_id = self._call(key, begin)["UploadId"]
        where = partial(_in_upload, self._bucket, name, upload_id)
        try:
            parts = self._upload_parts(key, data, where)
            complete = where(client.complete_multipart_upload, MultipartUpload={"Parts": parts})
            self._call(key, partial(complete, IfNoneMatch="*") if only_new else complete)
        except BaseException as error:
            try:
                self._call(key, where(client.abort_multipart_upload))
            except EventflowError as failure:
                error.add_note(f"Parts of the upload may be left: {failure}")
            raise

    def _upload_parts(
        self, key: str, data: memoryview, where: Callable[..., Callable[[], Any]]
    ) -> Sequence[CompletedPartTypeDef]:
        client = self._live.client
        size = max(_PART_BYTES, -(-len(data) // _MOST_PARTS))

        def upload(number: int) -> CompletedPartTypeDef:
            body = bytes(data[(number - 1) * size : number * size])
            put = where(client.upload_part, PartNumber=number, Body=body)
            return {"PartNumber": number, "ETag": self._call(key, put)["ETag"]}

        numbers = range(1, -(-len(data) // size) + 1)
        return _in_parallel(self._live.pool, (partial(upload, number) for number in numbers))

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
    def _live(self) -> _Connection:
        """The connection of this process; sockets and threads of a parent are not used."""
        pid = os.getpid()
        if self._connection.pid not in (None, pid):
            self._connection = _connect(self._settings)
        self._connection.pid = pid
        return self._connection

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _key(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def _call(self, key: str, request: Callable[[], T]) -> T:
        """The answer to a request, repeated where that may help; every error as one of ours."""
        for attempt in count(1):
            try:
                return request()
            except (BotoCoreError, ClientError) as error:
                if attempt >= _attempts(error):
                    raise self._translated(error, key) from error
            pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            time.sleep(pause * random.uniform(0.5, 1))
        raise AssertionError

    def _translated(self, error: BotoCoreError | ClientError, key: str) -> EventflowError:
        place = f"{self.url}/{key}" if key else self.url
        if isinstance(error, ClientError):
            return self._translated_answer(error, place)
        if isinstance(error, _NO_CREDENTIALS):
            return _forbidden(place, str(error))
        if isinstance(error, _NO_ANSWER):
            where = self._settings.endpoint_url or "S3"
            return StoreUnreachable(
                f"{place}: {where} does not answer ({error}). Check the network, and"
                " EVENTFLOW_STORE__ENDPOINT_URL."
            )
        return InvalidSettings(f"{place}: the store cannot be used with its settings: {error}")

    def _translated_answer(self, error: ClientError, place: str) -> EventflowError:
        code, status = _code(error), _status(error)
        message = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
        if status == 412 or code == "PreconditionFailed":
            return _Taken(place)
        if code == "NoSuchBucket":
            return BucketMissing(
                f"The bucket {self._bucket!r} does not exist: make it, or set EVENTFLOW_STORE__URL."
            )
        if code == "NoSuchUpload":
            return _UploadGone(place)
        if code in {"NoSuchKey", "NotFound", "404"}:
            return ObjectMissing(f"{place} does not exist.")
        return _refusal(code, status, place, message)


def _refusal(code: str, status: int, place: str, message: str) -> EventflowError:
    if status in {401, 403} or code in _DENIED:
        return _forbidden(place, message)
    if code in _ELSEWHERE or status in {301, 307}:
        return InvalidSettings(
            f"{place}: the bucket is in another region ({message}). Set EVENTFLOW_STORE__REGION."
        )
    if status == 501:
        return StoreUnsuitable(f"{place}: the server cannot do what eventflow needs ({message}).")
    if code == "KeyTooLongError":
        return InvalidName(f"{place}: {message}. Use shorter names.")
    return StoreUnreachable(f"{place}: the server does not serve the request ({message}).")


def _forbidden(place: str, message: str) -> StoreForbidden:
    return StoreForbidden(
        f"{place}: refused ({message}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
        " AWS_PROFILE, to credentials that may s3:GetObject, s3:PutObject, s3:DeleteObject and"
        " s3:ListBucket there."
    )


def _parse(url: str) -> tuple[str, str]:
    """(bucket, prefix), the prefix empty or with its slash."""
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings(f"EVENTFLOW_STORE__URL={url}: it is written s3://bucket[/prefix].")
    try:
        return parts.netloc, check_prefix(f"{prefix}/") if prefix else ""
    except InvalidName as error:
        raise InvalidSettings(f"EVENTFLOW_STORE__URL={url}: {error}") from error


def _connect(settings: StoreSettings) -> _Connection:
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # _call repeats
        max_pool_connections=2 * _THREADS,
        tcp_keepalive=True,
        # Servers other than AWS do not all know its new checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
    )
    try:
        # A session of its own: the default one is not safe to make clients from in threads.
        client = boto3.session.Session().client(
            "s3", endpoint_url=settings.endpoint_url, region_name=settings.region, config=config
        )
    except (BotoCoreError, ValueError) as error:
        raise InvalidSettings(f"{settings.url}: no client can be made for it: {error}") from error
    return _Connection(client, ThreadPoolExecutor(_THREADS, thread_name_prefix="eventflow-s3"))


def _attempts(error: BotoCoreError | ClientError) -> int:
    """How often a call is made that ends so."""
    if isinstance(error, ClientError):
        code, status = _code(error), _status(error)
        is_passing = code in _UNDECIDED | _BUSY or status == 429 or status in {500, 502, 503, 504}
        return _ATTEMPTS if is_passing else 1
    if isinstance(error, ReadTimeoutError):
        return _ATTEMPTS_READING
    if isinstance(error, ConnectTimeoutError):
        return _ATTEMPTS_CONNECTING
    return _ATTEMPTS if isinstance(error, _NO_ANSWER) and not isinstance(error, SSLError) else 1


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _in_upload(
    bucket: str, name: str, upload_id: str, request: Callable[..., Any], **arguments: Any
) -> Callable[..., Any]:
    return partial(request, Bucket=bucket, Key=name, UploadId=upload_id, **arguments)


def _in_parallel(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]]) -> list[T]:
    """The results in order."""
    return [*_in_order(pool, calls)]


def _in_order(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """The results in order; few calls are made ahead. None runs any more when it ends, by an
    error too, or when it is given up."""
    pending: deque[Future[T]] = deque()
    try:
        for call in calls:
            if len(pending) >= _THREADS:
                yield pending.popleft().result()
            pending.append(pool.submit(call))
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        wait(pending)
