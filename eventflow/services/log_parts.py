"""What a service reads and writes the log with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.bus.port import Bus
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.codec.codec import Codec
    from eventflow.effects import Effects
    from eventflow.model.topics import Topics

__all__ = ["LogParts"]


@dataclass(frozen=True, slots=True)
class LogParts:
    """Handed to every service. `decoder` also knows the schemas of other writers."""

    bus: Bus
    codec: Codec
    decoder: SchemaLookup
    topics: Topics
    effects: Effects
