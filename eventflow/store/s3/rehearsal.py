"""Requests that go nowhere, so that the first real ones of a process find a client at work.

botocore looks a good deal up for the first request of a client: endpoint, signer, the shapes of
what is said. A process that is forked for one task makes few requests, and each of them is its
first. Whether a request is sent is for a handler of `before-send` to say, which may answer it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

__all__ = ["rehearse"]

_BODY = b"{}"
_NAME = "eventflow-rehearsal"


def rehearse(client: S3Client, bucket: str, key: str) -> None:
    """Put and get an object of that name with a client that no other thread uses; no request is
    sent, so that no connection is made."""
    events = client.meta.events
    events.register_first("before-send.s3", _answer, unique_id=_NAME)
    try:
        client.put_object(Bucket=bucket, Key=key, Body=_BODY, IfNoneMatch="*")
        client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except (BotoCoreError, ClientError):
        pass  # credentials that are missing, say: the first real request says it
    finally:
        events.unregister("before-send.s3", unique_id=_NAME)


class _Content(io.BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _answer(request: Any, **_: Any) -> Any:
    body = _BODY if request.method == "GET" else b""
    headers: Any = {"content-length": str(len(body)), "etag": '"0"'}
    return AWSResponse(request.url, 200, headers, _Content(body))
