"""All that the trigger service knows of one partition of the event log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from eventflow.model.id_window import IdWindow
from eventflow.model.joins import Joins
from eventflow.model.log import partition_of
from eventflow.model.state import ActiveVersion, HeldEvent, Timer
from eventflow.model.subscriptions import Subscriptions
from eventflow.model.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.model.conclusions import StateRecord
    from eventflow.model.deployment import Deployment

__all__ = ["Deployments", "Limits", "PartitionState", "Place"]

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Deployments(Protocol):
    """Finds one version of a deployment."""

    def __call__(self, namespace: str, flow: str, version: int) -> Deployment | None:
        """That version, whole; None when there is none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a partition remembers: of each join, and of ids."""

    join_events: int = 10_000
    join_bytes: int = 64 * 2**20
    id_window: timedelta = timedelta(hours=24)
    id_window_ids: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Partition `partition` of the `partitions` of the event log."""

    partition: int
    partitions: int

    def is_home_of(self, namespace: str) -> bool:
        """Whether the records of a namespace belong here."""
        return partition_of(namespace.encode(), self.partitions) == self.partition


class PartitionState:
    """Versions in force, timers, open joins, known ids, and the clock of the partition.

    It is mutable and belongs to one caller, who hands it to `matching.handle` record by record.
    It runs ahead of the log: what `handle` changed here is true only when the transaction with
    its conclusions has committed. After any commit that did not succeed it must be thrown away
    and restored from `trigger-state`; nothing in it can be undone.

    `clock` is the highest append time seen, so it never goes back.
    """

    def __init__(self, place: Place, limits: Limits, clock: datetime = _BEGINNING) -> None:
        self.place = place
        self.clock = clock
        self.subscriptions = Subscriptions(place.is_home_of)
        self.timers = Timers()
        self.joins = Joins(limits.join_events, limits.join_bytes)
        self.ids = IdWindow(limits.id_window, limits.id_window_ids)

    def take_in(self, record: StateRecord, deployments: Deployments) -> None:
        """Restore one record of `trigger-state`: the last value of each key, in log order.

        A version that is in force but that `deployments` no longer has hears nothing.
        """
        if isinstance(record, ActiveVersion):
            found = deployments(record.namespace, record.flow, record.version)
            self.subscriptions.put(record, found)
        elif isinstance(record, HeldEvent):
            self.joins.hold(record)
        elif isinstance(record, Timer):
            self.timers.put(record)
        else:
            self.ids.add(record)

    def records(self) -> Iterator[StateRecord]:
        """What `trigger-state` has to hold besides the position."""
        yield from self.subscriptions
        yield from self.timers
        yield from self.joins
        yield from self.ids
