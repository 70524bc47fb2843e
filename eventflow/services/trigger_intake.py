"""From a record of the event log to what the trigger machine decides: decoded, and in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.codec.rerouting import origin_of
from eventflow.errors import UndecodableRecord
from eventflow.model.completion import Completion
from eventflow.model.conclusions import Reason
from eventflow.model.deployment import Activation
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.matching import Entry

if TYPE_CHECKING:
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.model.log import Record
    from eventflow.model.matching import Body
    from eventflow.model.partition_state import Place

__all__ = ["Intake", "kind_of"]

_NAMESPACES = 10_000
_BODIES = (EventRecord, Completion, Activation, Forward)
_KINDS: dict[type, str] = {
    EventRecord: "event",
    Completion: "completion",
    Activation: "activation",
    Forward: "forward",
}


class Intake:
    """Reads the records of one partition of the topic with that id."""

    def __init__(self, decoder: SchemaLookup, place: Place, topic_id: str) -> None:
        self._decoder = decoder
        self._place = place
        self._topic_id = topic_id
        self._known: dict[str, tuple[bytes, bool]] = {}

    def read(self, record: Record) -> Entry:
        """The record, decoded, with the place of its original.

        Raises:
            UndecodableRecord: it is a dead letter, for the reason said.
        """
        body = self._decoder.decode(record.value)
        if not isinstance(body, _BODIES):
            raise UndecodableRecord(
                f"A {type(body).__name__} has no business in the event log.",
                reason=Reason.UNEXPECTED_RECORD,
            )
        key, namespace = record.key, _namespace_of(body)
        if key is not None and key != self._look_up(namespace)[0]:
            raise UndecodableRecord(
                f"Its key is {key[:200]!r}, but its namespace is {namespace}.",
                reason=Reason.KEY_CONTRADICTS_BODY,
            )
        return Entry(origin_of(record, self._topic_id), body, record.appended_at)

    def namespace_if_elsewhere(self, body: Body) -> str | None:
        """The namespace of a record that stands in the wrong partition; None when it is right."""
        namespace = _namespace_of(body)
        _, is_home = self._look_up(namespace)
        return None if is_home else namespace

    def _look_up(self, namespace: str) -> tuple[bytes, bool]:
        """Its key, and whether this is its partition."""
        known = self._known.get(namespace)
        if known is None:
            if len(self._known) >= _NAMESPACES:
                self._known.clear()
            known = namespace.encode(), self._place.is_home_of(namespace)
            self._known[namespace] = known
        return known


def kind_of(body: Body) -> str:
    """The name of its kind, for metrics."""
    return _KINDS[type(body)]


def _namespace_of(body: Body) -> str:
    """What decides its partition."""
    if isinstance(body, (EventRecord, Completion)):
        return body.namespace
    return body.source if isinstance(body, Activation) else body.home
