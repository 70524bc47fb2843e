"""The client of a bucket, from settings, and the threads that make its requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from eventflow.errors import InvalidName, InvalidSettings
from eventflow.store.keys import check_prefix
from eventflow.store.s3.parallel import THREADS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from eventflow.settings import StoreSettings

__all__ = ["Connection", "bucket_and_prefix", "connect"]

_CONNECT_SECONDS = 3
_READ_SECONDS = 6


@dataclass(slots=True)
class Connection:
    """A client and its threads. `pid` is the process that uses it, None before the first use.

    Neither has a socket or a thread before that, so a child may use what its parent only made:
    reading the description of S3 takes botocore a tenth of a second.
    """

    client: S3Client
    pool: ThreadPoolExecutor
    pid: int | None = None


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """The prefix is empty or has its slash.

    Raises:
        InvalidSettings: the URL is none of a bucket.
    """
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings(f"EVENTFLOW_STORE__URL={url}: it is written s3://bucket[/prefix].")
    try:
        return parts.netloc, check_prefix(f"{prefix}/") if prefix else ""
    except InvalidName as error:
        raise InvalidSettings(f"EVENTFLOW_STORE__URL={url}: {error}") from error


def connect(
    settings: StoreSettings, *, read_seconds: float = _READ_SECONDS, attempts: int = 1
) -> Connection:
    """Does no I/O. Its user repeats requests, unless it asks for more than one attempt.

    Raises:
        InvalidSettings: the endpoint or the region cannot be.
    """
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * THREADS,
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
    return Connection(client, ThreadPoolExecutor(THREADS, thread_name_prefix="eventflow-s3"))
