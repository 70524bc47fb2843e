"""The versions of all deployments, as `deployments` has them.

The topic is read when a version is asked for that is not known yet, each record once. A mark in
the event log stands in one transaction with its version, so whoever has read a mark finds its
version here (docs/protocols.md §4).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.errors import UndecodableRecord
from eventflow.model.deployment import Deployment
from eventflow.model.log import TopicPartition

if TYPE_CHECKING:
    from eventflow.bus.port import Bus
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.model.topics import Topics

__all__ = ["DeploymentLog"]

_DECODED = 1024


class DeploymentLog:
    """Finds versions of deployments. It keeps them encoded, and the last used ones decoded.

    Not safe to use from several threads.
    """

    def __init__(self, bus: Bus, decoder: SchemaLookup, topics: Topics) -> None:
        self._bus = bus
        self._decoder = decoder
        self._partition = TopicPartition(topics.deployments, 0)
        self._versions: dict[bytes, bytes] = {}
        self._next_offset = 0
        self._decoded = lru_cache(maxsize=_DECODED)(self._decode)

    def find(self, namespace: str, flow: str, version: int) -> Deployment | None:
        """That version, whole; None when `deployments`, read to its end, has none, or has it in
        a form that this program cannot read.

        Raises:
            BusUnreachable: it is not known here, and the topic cannot be read.
        """
        key = f"{namespace}/{flow}/{version}".encode()
        if key not in self._versions:
            self.read_to_end()
        value = self._versions.get(key)
        return None if value is None else self._decoded(value)

    def read_to_end(self) -> None:
        """Know every version whose deploy has committed by now."""
        for record in read_to_end(self._bus, self._partition, self._next_offset):
            self._next_offset = record.offset + 1
            if record.value is None:
                self._versions.pop(record.key or b"", None)
            else:
                self._versions[record.key or b""] = record.value

    def _decode(self, value: bytes) -> Deployment | None:
        try:
            found = self._decoder.decode(value)
        except UndecodableRecord:
            return None
        return found if isinstance(found, Deployment) else None
