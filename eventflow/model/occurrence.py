"""Occurrences: an event or a completion, as the deployments that hear it see it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.errors import InvalidPayload
from eventflow.model.offset import merge_roots
from eventflow.model.payload import decode_payload
from eventflow.model.run import Cause
from eventflow.model.state import HeldEvent
from eventflow.model.trigger import Source

if TYPE_CHECKING:
    from eventflow.model.completion import Completion
    from eventflow.model.event import EventRecord
    from eventflow.model.offset import Offset
    from eventflow.model.payload import Payload

__all__ = ["JSON", "Occurrence", "completed", "happened", "held_again"]

JSON = "application/json"


@dataclass(slots=True)
class Occurrence:
    """What led somewhere: its cause, the roots with its own offset, the runs before it.

    The payload is decoded at most once, when a deployment first asks for a field.
    """

    cause: Cause
    roots: tuple[Offset, ...]
    hops: int
    _fields: Payload | InvalidPayload | None = field(default=None, init=False)

    @property
    def fields(self) -> Payload:
        """The fields of the payload.

        Raises:
            InvalidPayload: it has none that could be read.
        """
        if self._fields is None:
            self._fields = _read(self.cause)
        if isinstance(self._fields, InvalidPayload):
            raise self._fields
        return self._fields

    def held_by(self, namespace: str, flow: str) -> HeldEvent:
        """As it stands in the join of a deployment."""
        size = len(self.cause.payload)
        return HeldEvent(namespace, flow, self.cause, self.roots, self.hops, size)


def happened(event: EventRecord, origin: Offset) -> Occurrence:
    """The occurrence of an event whose original record stands at `origin`."""
    by = event.publisher
    cause = Cause(
        origin=origin,
        kind=Source.EVENT,
        event_id=event.id,
        name=event.name,
        namespace=event.namespace,
        at=event.published_at,
        payload=event.payload,
        content_type=event.content_type,
        run_namespace=by.namespace if by else "",
        flow=by.flow if by else "",
        run_id=by.run_id if by else None,
    )
    return Occurrence(cause, merge_roots((origin, *event.roots)), event.hops)


def completed(completion: Completion, origin: Offset) -> Occurrence:
    """The occurrence of a completion whose record stands at `origin`."""
    said = {
        "flow": completion.flow,
        "run_id": completion.run_id,
        "outcome": completion.outcome,
    }
    cause = Cause(
        origin=origin,
        kind=Source.COMPLETION,
        event_id=completion.run_id,
        name=completion.flow,
        namespace=completion.namespace,
        at=completion.finished_at,
        payload=json.dumps(said, separators=(",", ":")).encode(),
        content_type=JSON,
        run_namespace=completion.namespace,
        flow=completion.flow,
        run_id=completion.run_id,
    )
    return Occurrence(cause, merge_roots((origin, *completion.roots)), completion.hops)


def held_again(event: HeldEvent) -> Occurrence:
    """The occurrence of an event that waited in a join."""
    return Occurrence(event.cause, event.roots, event.hops)


def _read(cause: Cause) -> Payload | InvalidPayload:
    media_type = cause.content_type.partition(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        return InvalidPayload(
            f"The payload is {cause.content_type or 'of no stated type'}; fields are taken from"
            f" {JSON} only."
        )
    try:
        return decode_payload(cause.payload)
    except InvalidPayload as error:
        return error
