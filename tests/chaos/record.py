"""What stands in the log and in the store, each topic and each listing read once, with plain
clients (`tests/support/history.py`); and the versions of every object, which the server keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.history import Entry, Log


@dataclass
class ReadOnce:
    """A log of which every topic is read the first time that it is asked for."""

    log: Log
    topics: dict[str, list[Entry]] = field(default_factory=dict)

    def read(self, topic: str) -> list[Entry]:
        """As `Log.read`."""
        if topic not in self.topics:
            self.topics[topic] = self.log.read(topic)
        return self.topics[topic]


@dataclass(frozen=True)
class Version:
    """One version of an object; `content` tells two apart."""

    key: str
    content: str
    is_deletion: bool


def versions(client: Any, bucket: str, prefix: str) -> list[Version]:
    """All versions of all objects below a prefix, keys without it."""
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    # By their ids: versitygw lists the last version of a page again as the first of the next.
    found = {
        (each["Key"], each["VersionId"]): Version(
            each["Key"].removeprefix(prefix), each.get("ETag", ""), kind == "DeleteMarkers"
        )
        for page in pages
        for kind in ("Versions", "DeleteMarkers")
        for each in page.get(kind, ())
    }
    return [*found.values()]
