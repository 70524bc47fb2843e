"""Requested runs that no runner has accepted yet: what `queued` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.model.log import TopicPartition, partition_of
from eventflow.model.run import RunPosition, RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.bus.port import Bus
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.model.topics import Topics

__all__ = ["waiting_request", "waiting_requests"]


def waiting_requests(bus: Bus, decoder: SchemaLookup, topics: Topics) -> Iterator[RunRequest]:
    """The requests past the custodian's position, partition by partition, oldest first."""
    for partition in range(topics.run_partitions):
        yield from _waiting(bus, decoder, topics, partition)


def waiting_request(
    bus: Bus, decoder: SchemaLookup, topics: Topics, run_id: str
) -> RunRequest | None:
    """The request of that run; None when it was accepted, given up, or never made."""
    partition = partition_of(run_id.encode(), topics.run_partitions)
    waiting = _waiting(bus, decoder, topics, partition)
    return next((each for each in waiting if each.run_id == run_id), None)


def _waiting(
    bus: Bus, decoder: SchemaLookup, topics: Topics, partition: int
) -> Iterator[RunRequest]:
    runs = TopicPartition(topics.runs, partition)
    requests = TopicPartition(topics.run_requests, partition)
    for record in read_to_end(bus, requests, _position(bus, decoder, runs)):
        request = decoder.decode(record.value)
        if isinstance(request, RunRequest):
            yield request


def _position(bus: Bus, decoder: SchemaLookup, runs: TopicPartition) -> int:
    position = 0
    for record in read_to_end(bus, runs):
        value = decoder.decode(record.value) if record.value is not None else None
        if isinstance(value, RunPosition):
            position = value.next_request
    return position
