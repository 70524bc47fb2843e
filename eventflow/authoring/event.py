"""`Event`: a named fact, published to the bus."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eventflow.authoring.current import current
from eventflow.context import world
from eventflow.errors import (
    BusUnreachable,
    EventTooLarge,
    InvalidName,
    InvalidPayload,
    RecordTooLarge,
    Retriable,
)
from eventflow.model.event import RESERVED_FIELDS, EventRecord, Publisher, check_event_name
from eventflow.model.namespace import DEFAULT_PROJECT, EVERY_BRANCH, Namespace
from eventflow.model.occurrence import JSON
from eventflow.model.payload import encode_payload

if TYPE_CHECKING:
    from eventflow.authoring.current import Running
    from eventflow.model.offset import Offset

__all__ = ["Event", "Published"]


@dataclass(frozen=True, slots=True)
class Published:
    """An event that stands in the log, durable. `str()` of `offset` is what lineage takes."""

    id: str
    namespace: str
    offset: Offset


class Event:
    """One fact. `Event("data_updated", payload={…}).publish()`.

    Inside a task it belongs to the namespace of the task's flow. From outside it names its
    project (`project`, else EVENTFLOW_PROJECT, else `default`) and reaches every branch of it;
    `branch` narrows it to one.

    An object is one event however often it is published: after an error, publish it again. `id`
    makes it one with another object, or another process, that gives the same id. Repeats within
    the window of de-duplication (24 hours) start nothing.
    """

    def __init__(
        self,
        name: str,
        payload: Mapping[str, Any] | None = None,
        *,
        project: str | None = None,
        branch: str | None = None,
        id: str | None = None,  # noqa: A002 - what everybody calls it
    ) -> None:
        """Nothing is published yet.

        Raises:
            InvalidName: an event, project or branch cannot have that name.
            InvalidPayload: the payload has a reserved field (`id`, `name`, `timestamp`).
        """
        self.name = check_event_name(name)
        self.payload = _checked(payload or {})
        self._project, self._branch = project, branch
        self._id = id
        self._record: EventRecord | None = None
        Namespace.parse(f"{project or DEFAULT_PROJECT}/{branch or EVERY_BRANCH}")

    def add_to_payload(self, key: str, value: Any) -> Event:
        """Add a field, or replace it; returns the event itself.

        Raises:
            InvalidPayload: the field is reserved.
        """
        self.payload = {**self.payload, **_checked({key: value})}
        return self

    @property
    def namespace(self) -> str:
        """`project/branch`, or `project/*`: whom it reaches when it is published here and now.

        Raises:
            InvalidName: inside a task, it names another project or branch than its flow's.
        """
        task = current._running
        return self._outside() if task is None else self._inside(task)

    def publish(self, payload: Mapping[str, Any] | None = None) -> Published:
        """Publish it, with the fields of `payload` besides those that it has.

        On return it is durable: held by all in-sync replicas, or by an fsync. After an error of
        the bus it may be published or not; call again, on this same object.

        Raises:
            InvalidPayload: a value cannot be carried, or this object was published before with
                another payload.
            EventTooLarge: it is over 512 KiB.
            BusUnreachable: the bus does not take it.
        """
        record = self._to_publish(encode_payload({**self.payload, **_checked(payload or {})}))
        offset = _append(record)
        if current._running is not None:
            current._running.published.append(offset)
        return Published(record.id, record.namespace, offset)

    def _to_publish(self, payload: bytes) -> EventRecord:
        if self._record is None:
            self._record = self._new_record(payload)
        if self._record.payload != payload:
            raise InvalidPayload(
                f"This event was published as {self._record.id} with another payload, and an"
                " event never changes: make a new Event for a new fact."
            )
        return replace(self._record, published_at=world().effects.clock.now())

    def _new_record(self, payload: bytes) -> EventRecord:
        effects, task = world().effects, current._running
        record = EventRecord(
            id=self._id or effects.ids.token(),
            # Always: a publish that failed may stand in the log, and is then one with its repeat.
            id_set=True,
            name=self.name,
            namespace=self.namespace,
            payload=payload,
            content_type=JSON,
            published_at=effects.clock.now(),
            source=socket.gethostname(),
        )
        return record if task is None else self._of_task(record, task)

    def _of_task(self, record: EventRecord, task: Running) -> EventRecord:
        """Every attempt and every epoch of a task gives its n-th event the same id."""
        request, key = task.task.run.request, task.task.key
        publisher = Publisher(
            namespace=request.namespace,
            flow=request.flow,
            run_id=request.run_id,
            step=key.step,
            task=key.task,
            number=next(task.numbers),
        )
        place = f"{request.run_id}/{key.step}/{key.task}"
        return replace(
            record,
            id=self._id or f"{place}/{publisher.number}",
            source=f"{request.namespace}/{request.flow}/{place}",
            publisher=publisher,
            roots=request.roots,
            hops=request.hops,
        )

    def _outside(self) -> str:
        project = self._project or world().settings.project or DEFAULT_PROJECT
        return str(Namespace.parse(f"{project}/{self._branch or EVERY_BRANCH}"))

    def _inside(self, task: Running) -> str:
        own = Namespace.parse(task.task.run.request.namespace)
        named = (self._project or own.project, self._branch or own.branch)
        if named != (own.project, own.branch):
            raise InvalidName(
                f"Inside a task an event belongs to the namespace of its flow, {own}: leave out"
                f" project and branch ({'/'.join(named)}). Publishing into another namespace from"
                " a task comes in a later version."
            )
        return str(own)


def _append(record: EventRecord) -> Offset:
    connected = world()
    try:
        return connected.bus.publish([connected.codec.new_record(record)])[0]
    except RecordTooLarge as error:
        raise EventTooLarge(
            f"The bus refused event {record.name} for its size: put the data into the store and"
            " publish its key."
        ) from error
    except Retriable as error:
        raise BusUnreachable(
            f"The bus did not take event {record.name}; publish the same Event again. {error}"
        ) from error


def _checked(payload: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(payload, Mapping):
        raise InvalidPayload(
            f"A payload is a mapping of names to values, not {type(payload).__name__}."
        )
    taken = sorted(RESERVED_FIELDS.intersection(payload))
    if taken:
        raise InvalidPayload(
            f"A payload cannot have {', '.join(map(repr, taken))}: the event itself says its id,"
            " its name and its time. Use another name for the field."
        )
    return dict(payload)
