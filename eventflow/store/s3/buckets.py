"""Objects of any bucket, as files: what the S3 data tool is made of.

Not a store: keys may be overwritten, and be any that S3 takes. Requests are repeated by botocore,
large objects go and come in parts by the transfer manager of boto3, and a file is there whole or
not at all. Every error is one of eventflow's.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ParamValidationError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from s3transfer.exceptions import RetriesExceededError

from eventflow.errors import (
    EventflowError,
    InvalidS3Address,
    InvalidS3Request,
    ObjectMissing,
    StoreUnreachable,
)
from eventflow.store.s3.answers import MOST_ATTEMPTS, Place, Taken
from eventflow.store.s3.connection import connect
from eventflow.store.s3.parallel import THREADS, in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from typing import BinaryIO

    from mypy_boto3_s3 import S3Client
    from s3transfer.manager import TransferManager

    from eventflow.settings import StoreSettings
    from eventflow.store.s3.connection import Connection

__all__ = ["Address", "Buckets", "Facts", "Listed"]

T = TypeVar("T")

_LARGE_BYTES = 16 * 2**20
_PART_BYTES = 8 * 2**20
_CHUNK_BYTES = 2**20
# No lease hangs on these requests, and putting many parts together takes a server a while.
_READ_SECONDS = 60
# botocore repeats a request, but not the reading of an answer.
_READS = 4
_BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_WRONG_RANGE = {"InvalidRange", "416"}
_WRONG_FACTS = {"MetadataTooLarge", "InvalidArgument", "EntityTooLarge"}


class Address(NamedTuple):
    """One object, or what several begin with."""

    bucket: str
    name: str

    @property
    def url(self) -> str:
        """`s3://bucket/name`."""
        return f"s3://{self.bucket}/{self.name}"


class Listed(NamedTuple):
    """An entry of a listing. A folder has no size."""

    address: Address
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What S3 says of an object. `content_range` is that of the answer to a request for a part."""

    size_bytes: int
    content_type: str | None
    metadata: dict[str, str]
    encryption: str | None
    modified_at: datetime
    content_range: str | None = None


class _Live:
    """The client of one process, its transfers, and those that write only what is not there."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self.connection = self._connection()
        self.transfers = _transfers(self.client)  # its threads begin with the first transfer
        self.pid = os.getpid()
        self._transfers_of_new: TransferManager | None = None
        self._lock = Lock()

    @property
    def client(self) -> S3Client:
        return self.connection.client

    @property
    def transfers_of_new(self) -> TransferManager:
        # The transfer manager passes no condition on: a client of their own adds it.
        with self._lock:
            if self._transfers_of_new is None:
                client = self._connection().client
                for operation in ("PutObject", "CompleteMultipartUpload"):
                    event = f"before-parameter-build.s3.{operation}"
                    client.meta.events.register(event, _only_if_new)
                self._transfers_of_new = _transfers(client)
            return self._transfers_of_new

    def close(self) -> None:
        self.transfers.shutdown()
        if self._transfers_of_new is not None:
            self._transfers_of_new.shutdown()
        self.connection.pool.shutdown()

    def _connection(self) -> Connection:
        return connect(self._settings, read_seconds=_READ_SECONDS, attempts=MOST_ATTEMPTS)


class Buckets:
    """What a server of S3 has. One object of it may be used by several threads, and in a child
    process, which makes a client of its own."""

    def __init__(self, settings: StoreSettings) -> None:
        """Does no I/O, and makes no client before the first request."""
        self._settings = settings
        self._made: _Live | None = None
        self._seen: set[str] = set()

    def fetch(self, address: Address, path: Path, byte_range: str | None = None) -> Facts:
        """Write an object, or `byte_range` of it, to a new file of that path.

        Raises:
            ObjectMissing: there is no such object.
            InvalidS3Request: the object has no such range.
        """
        part = path.with_name(f"{path.name}.part")
        try:
            with self._told(address):
                facts = self._fetch(address, part, byte_range)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        return facts

    def look(self, address: Address) -> Facts:
        """What S3 says of an object.

        Raises:
            ObjectMissing: there is no such object.
        """
        client = self._live.client
        try:
            with self._told(address):
                return _facts(client.head_object(Bucket=address.bucket, Key=address.name))
        except ObjectMissing:
            self._check_bucket(address.bucket)
            raise

    def upload(
        self,
        address: Address,
        source: str | BinaryIO,
        extra: dict[str, Any],
        *,
        only_new: bool = False,
    ) -> bool:
        """Put a file, from its path or opened, with further arguments of PutObject. Whether it
        was written: with `only_new` it is not where there is an object already."""
        if only_new and self._stands(address):
            return False
        transfers = self._live.transfers_of_new if only_new else self._live.transfers
        try:
            with self._told(address):
                transfers.upload(source, address.bucket, address.name, extra).result()
        except Taken:
            return False
        return True

    def entries(self, address: Address, *, folders: bool = False) -> Iterator[Listed]:
        """What begins with that name, in the order of names; with `folders` up to the next slash.
        Not the empty objects by which consoles show a folder."""
        request: dict[str, Any] = {"Bucket": address.bucket, "Prefix": address.name}
        if folders:
            request["Delimiter"] = "/"
        client = self._live.client
        while True:
            with self._told(Address(address.bucket, "")):
                answer = client.list_objects_v2(**request)
            found = [
                Listed(Address(address.bucket, each["Key"]), each["Size"])
                for each in answer.get("Contents", ())
                if each["Size"] or not each["Key"].endswith("/")
            ]
            found += [
                Listed(Address(address.bucket, each["Prefix"]), None)
                for each in answer.get("CommonPrefixes", ())
            ]
            yield from sorted(found, key=lambda each: each.address.name)
            if not answer["IsTruncated"]:
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]

    def in_parallel(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        """The results in order; after an error none is made any more."""
        return in_parallel(self._live.connection.pool, calls)

    def close(self) -> None:
        """End its threads; it may be used again."""
        if self._made is not None and self._made.pid == os.getpid():
            self._made.close()
        self._made = None

    @property
    def _live(self) -> _Live:
        if self._made is None or self._made.pid != os.getpid():
            self._made = _Live(self._settings)
        return self._made

    def _fetch(self, address: Address, part: Path, byte_range: str | None) -> Facts:
        request: dict[str, Any] = {"Bucket": address.bucket, "Key": address.name}
        if byte_range:
            request["Range"] = byte_range
        for _ in range(_READS - 1):
            with suppress(*_BROKEN_OFF):
                return self._fetch_once(address, part, request)
        return self._fetch_once(address, part, request)

    def _fetch_once(self, address: Address, part: Path, request: dict[str, Any]) -> Facts:
        answer = self._live.client.get_object(**request)
        facts = _facts(answer)
        with closing(answer["Body"]) as body:
            if "Range" in request or facts.size_bytes < _LARGE_BYTES:
                with part.open("wb") as file:
                    copyfileobj(body, file, _CHUNK_BYTES)
                return facts
        self._live.transfers.download(address.bucket, address.name, str(part)).result()
        return facts

    def _stands(self, address: Address) -> bool:
        with suppress(ObjectMissing):
            self.look(address)
            return True
        return False

    def _check_bucket(self, bucket: str) -> None:
        """The answer to a HEAD does not say whether the object is missing, or the bucket."""
        if bucket not in self._seen:
            client = self._live.client
            with self._told(Address(bucket, "")):
                client.list_objects_v2(Bucket=bucket, MaxKeys=1)
            self._seen.add(bucket)

    @contextmanager
    def _told(self, address: Address) -> Iterator[None]:
        """Errors of the drivers as ours."""
        try:
            yield
        except ParamValidationError as error:
            raise InvalidS3Address(f"{address.url} cannot be asked for: {error}") from error
        except RetriesExceededError as error:
            raise StoreUnreachable(
                f"{address.url}: reading it broke off too often ({error.last_exception}). Check"
                " the network."
            ) from error
        except (BotoCoreError, ClientError) as error:
            raise self._of_driver(error, address) from error

    def _of_driver(self, error: BotoCoreError | ClientError, address: Address) -> EventflowError:
        if isinstance(error, ClientError):
            said = error.response.get("Error", {})
            code = said.get("Code", "")
            if code in _WRONG_RANGE:
                return InvalidS3Request(
                    f"{address.url} has no such range ({said.get('Message', code)}): S3.info(key)"
                    " has its size."
                )
            if code in _WRONG_FACTS:
                return InvalidS3Request(f"{address.url}: {code}: {said.get('Message', '')}")
        url = f"s3://{address.bucket}"
        place = Place(
            url, address.bucket, self._settings.endpoint_url, other_bucket="correct its name"
        )
        return place.error(error, address.name)


def _transfers(client: S3Client) -> TransferManager:
    config = TransferConfig(
        multipart_threshold=_LARGE_BYTES,
        multipart_chunksize=_PART_BYTES,
        max_concurrency=THREADS,
        preferred_transfer_client="classic",  # the other one takes no client
    )
    return create_transfer_manager(client, config)


def _only_if_new(params: dict[str, Any], **_: Any) -> None:
    params["IfNoneMatch"] = "*"


def _facts(answer: Any) -> Facts:
    return Facts(
        answer["ContentLength"],
        answer.get("ContentType"),
        answer.get("Metadata", {}),
        answer.get("ServerSideEncryption"),
        answer["LastModified"],
        answer.get("ContentRange"),
    )
