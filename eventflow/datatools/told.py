"""What S3 is told and tells: ranges of bytes, and objects with what is known of them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from eventflow.datatools.objects import RangeInfo, S3GetObject, S3Object
from eventflow.errors import InvalidS3Request

if TYPE_CHECKING:
    from eventflow.store.s3.buckets import Address, Facts

__all__ = ["METADATA_NAME", "byte_range_of", "metadata_of", "object_of"]

METADATA_NAME = "metaflow-user-attributes"
"""Where metadata stands as JSON: where Metaflow has it, so that each reads what the other put."""

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def byte_range_of(wanted: S3GetObject) -> str | None:
    """The part in the words of HTTP; None for the whole object.

    Raises:
        InvalidS3Request: there can be no such part.
    """
    offset, length = wanted.offset or 0, wanted.length
    if offset < 0 or length == 0:
        raise InvalidS3Request(
            f"{wanted}: offset is 0 or more, and length is not 0; a negative length counts from"
            " the end of the object."
        )
    if length is None:
        return None if wanted.offset is None else f"bytes={offset}-"
    return f"bytes={length}" if length < 0 else f"bytes={offset}-{offset + length - 1}"


def object_of(address: Address, prefix: str | None, facts: Facts | None = None) -> S3Object:
    """An object with what is known of it; its key is relative to the url `prefix`."""
    url = address.url
    if prefix is None or url.rstrip("/") == prefix:
        prefix, key = None, url
    else:
        key = url[len(prefix) + 1 :].rstrip("/")
    if facts is None:
        return S3Object(url=url, key=key, prefix=prefix)
    return S3Object(
        url=url,
        key=key,
        prefix=prefix,
        size=facts.size_bytes,
        content_type=facts.content_type,
        metadata=metadata_of(facts.metadata),
        encryption=facts.encryption,
        range_info=_range_info(facts),
        last_modified=int(facts.modified_at.timestamp()),
    )


def metadata_of(headers: dict[str, str]) -> dict[str, Any] | None:
    """What was given as metadata; of an object that others put, its plain headers."""
    try:
        told = json.loads(headers[METADATA_NAME])
    except (KeyError, ValueError):
        return dict(headers) or None
    return told if isinstance(told, dict) else dict(headers)


def _range_info(facts: Facts) -> RangeInfo:
    part = _CONTENT_RANGE.fullmatch(facts.content_range or "")
    if part is None:
        return RangeInfo(facts.size_bytes, 0, facts.size_bytes)
    first, last, total = map(int, part.groups())
    return RangeInfo(total, first, last - first + 1)
