"""The `schemas` topic: writer schemas by fingerprint, so that records need no schema registry.

A writer publishes its schemas before its first record. So when a reader meets a fingerprint that
it does not know, and `schemas`, read to its end, does not have it, nobody has published it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.errors import UnknownSchema
from eventflow.model.log import NewRecord, TopicPartition

if TYPE_CHECKING:
    from eventflow.bus.port import Bus
    from eventflow.codec.codec import Codec
    from eventflow.codec.records import AnyRecord
    from eventflow.model.topics import Topics

__all__ = ["SchemaLookup", "publish_schemas"]


def publish_schemas(bus: Bus, codec: Codec, topics: Topics) -> int:
    """Publish the schemas that `codec` writes with and that are not there yet; how many these were.

    On return they are durable. Idempotent; of two writers that race, both may publish the same.
    """
    there: dict[bytes | None, bytes | None] = {}
    for record in read_to_end(bus, TopicPartition(topics.schemas, 0)):
        there[record.key] = record.value
    missing = [
        NewRecord(topics.schemas, _key(fingerprint), schema.encode())
        for fingerprint, schema in codec.schemas.items()
        if there.get(_key(fingerprint)) is None
    ]
    if missing:
        bus.publish(missing)
    return len(missing)


class SchemaLookup:
    """Decodes records whatever schema they were written with, as long as `schemas` has it.

    Reads the topic only on an unknown fingerprint, and each of its records once.
    """

    def __init__(self, bus: Bus, codec: Codec, topics: Topics) -> None:
        self._bus = bus
        self._codec = codec
        self._partition = TopicPartition(topics.schemas, 0)
        self._schemas: dict[bytes, bytes] = {}
        self._next_offset = 0

    def decode(self, value: bytes | None) -> AnyRecord:
        """As `Codec.decode`, after looking up a schema that the codec does not know.

        Raises:
            UndecodableRecord: the record cannot be read, and will not be later.
            BusUnreachable: `schemas` cannot be read; the record is not to blame.
        """
        try:
            return self._codec.decode(value)
        except UnknownSchema as error:
            if not self.find(error.fingerprint):
                raise
        return self._codec.decode(value)

    def find(self, fingerprint: bytes) -> bool:
        """Whether `codec` can read records of that schema now, having read `schemas` to its end.

        Raises:
            UndecodableRecord: what `schemas` has for it cannot be used; reason `unknown-schema`.
        """
        self._read_on()
        schema = self._schemas.get(_key(fingerprint))
        if schema is not None:
            self._codec.learn(schema)
        return self._codec.knows(fingerprint)

    def _read_on(self) -> None:
        for record in read_to_end(self._bus, self._partition, self._next_offset):
            self._next_offset = record.offset + 1
            if record.key is not None and record.value is not None:
                self._schemas[record.key] = record.value


def _key(fingerprint: bytes) -> bytes:
    return fingerprint.hex().encode()
