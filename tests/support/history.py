"""The history checker: what stands in the log and in the store, read without eventflow.

Topics are read with a plain `read_committed` consumer (or plain SQL), objects with plain boto3
(or plain files), records with plain fastavro and the published schemas. What is expected comes
from acknowledged publishes.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition
from fastavro import reader

from tests.support.plain_records import decoded

_OFFSET_BITS = 40


@dataclass(frozen=True)
class Entry:
    """A record: its place, and what it says. `kind` is the name of its schema, "" for others."""

    partition: int
    offset: int
    key: str
    kind: str
    value: dict[str, Any]


class Log(Protocol):
    """All committed records of a topic, partition by partition in order of offset."""

    def read(self, topic: str) -> list[Entry]:
        """`topic` without the prefix."""


class Objects(Protocol):
    """Objects of the store."""

    def keys(self) -> list[str]:
        """All keys, without the prefix."""

    def read(self, key: str) -> bytes:
        """One object."""


class KafkaLog:
    """A Kafka cluster, through a plain consumer."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._servers, self._prefix = bootstrap_servers, prefix

    def read(self, topic: str) -> list[Entry]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "history-checker",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        try:
            return self._read(consumer, self._prefix + topic)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, topic: str) -> list[Entry]:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
        entries: list[Entry] = []
        ended: set[int] = set()
        while len(ended) < len(partitions):
            message = consumer.poll(10)
            assert message is not None, f"{topic} could not be read to its end"
            where = message.partition()
            assert where is not None
            if message.error():
                ended.add(where)
                continue
            offset, key, value = message.offset(), message.key(), message.value()
            assert offset is not None
            entries.append(_entry(where, offset, _bytes(key), _bytes(value)))
        return sorted(entries, key=lambda each: (each.partition, each.offset))


class EmbeddedLog:
    """The embedded log, through plain SQL (its tables are documented in `bus/sqlite/schema.py`)."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._file, self._prefix = folder / "bus.db", prefix

    def read(self, topic: str) -> list[Entry]:
        connection = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)
        try:
            rows = connection.execute(
                "SELECT partition, position & ?, key, value FROM partitions, records"
                " WHERE topic = ? AND position >> ? = slot ORDER BY position",
                ((1 << _OFFSET_BITS) - 1, self._prefix + topic, _OFFSET_BITS),
            )
            return [_entry(*row) for row in rows]
        finally:
            connection.close()


class FileObjects:
    """A store in a folder, through plain files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keys(self) -> list[str]:
        files = (each for each in self._folder.rglob("*") if each.is_file())
        return [str(each.relative_to(self._folder)) for each in files]

    def read(self, key: str) -> bytes:
        return (self._folder / key).read_bytes()


class S3Objects:
    """A bucket, through plain boto3."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix

    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        found = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return [key.removeprefix(self._prefix) for key in found]

    def read(self, key: str) -> bytes:
        body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        return bytes(body.read())


@dataclass(frozen=True)
class History:
    """One installation's log and store."""

    log: Log
    objects: Objects

    def started_by(self, flow: str) -> Counter[str]:
        """Offset (`topic/partition/offset`) of each cause → how many runs of `flow` it began."""
        return Counter(
            _place(cause["origin"])
            for request in self.requests(flow)
            for cause in self.causes(request)
        )

    def causes(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """The causes of a request, also when they stand in a blob of the store."""
        digest = request["causes_digest"]
        if digest is None:
            return list(request["causes"])
        project = request["namespace"].split("/")[0]
        blob = self.objects.read(f"projects/{project}/blobs/{digest[:2]}/sha256-{digest}")
        assert hashlib.sha256(blob).hexdigest() == digest
        causes: Any = list(reader(BytesIO(blob)))
        return list(causes)

    def requests(self, flow: str) -> list[dict[str, Any]]:
        """The requests of a flow."""
        entries = self.log.read("run-requests")
        return [each.value for each in entries if each.value["flow"] == flow]

    def completions(self) -> Counter[str]:
        """Run id → its completions."""
        entries = self.log.read("events")
        return Counter(each.value["run_id"] for each in entries if each.kind == "Completion")

    def ended(self) -> dict[str, str]:
        """Run id → outcome, by the `end.json` of the store."""
        ends = [key for key in self.objects.keys() if key.endswith("/end.json")]  # noqa: SIM118
        return {key.split("/")[-2]: json.loads(self.objects.read(key))["outcome"] for key in ends}

    def check_ends(self) -> None:
        """Every requested run has one end and one completion, and the same outcome in both."""
        requested = Counter(each.value["run_id"] for each in self.log.read("run-requests"))
        doubled = {run_id: count for run_id, count in requested.items() if count > 1}
        assert not doubled, f"requested twice: {doubled}"
        completions = self.completions()
        assert completions == requested, _difference(completions, requested)
        ended = self.ended()
        assert ended.keys() >= requested.keys(), f"no end: {requested.keys() - ended.keys()}"

    def check_nothing_given_up(self) -> None:
        """No dead letter."""
        letters = self.log.read("dead-letters")
        assert not letters, letters

    def check_order(self) -> None:
        """In a partition of `decisions`, those of a deployment follow the log of each partition
        that they are about. (The marks of one version are decided in several partitions.)"""
        last: dict[tuple[Any, ...], int] = {}
        for entry in self.log.read("decisions"):
            value, origin = entry.value, entry.value["origin"]
            deployment = (value["namespace"], value["flow"])
            key = (entry.partition, *deployment, origin["topic_id"], origin["partition"])
            assert last.get(key, -1) < origin["offset"], f"out of order: {value}"
            last[key] = origin["offset"]

    def check_started_once(self, flow: str, offsets: Iterable[str]) -> None:
        """Each of the acknowledged events started one run of `flow`, and nothing else did."""
        expected = Counter(offsets)
        started = self.started_by(flow)
        assert started == expected, _difference(started, expected)


def _difference(found: Mapping[str, int], expected: Mapping[str, int]) -> str:
    keys = found.keys() | expected.keys()
    wrong = {key: (found.get(key, 0), expected.get(key, 0)) for key in keys}
    return f"(found, expected): { {key: two for key, two in wrong.items() if two[0] != two[1]} }"


def _place(origin: Mapping[str, Any]) -> str:
    return f"{origin['topic']}/{origin['partition']}/{origin['offset']}"


def _entry(partition: int, offset: int, key: bytes | None, value: bytes | None) -> Entry:
    kind, said = decoded(value)
    return Entry(partition, offset, (key or b"").decode(errors="replace"), kind, said)


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
