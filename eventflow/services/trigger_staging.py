"""What one transaction of the trigger service will write, and what is counted when it has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from eventflow.codec.dead_letters import dead_letter
from eventflow.codec.rerouting import origin_headers, rerouted
from eventflow.model.conclusions import Reason
from eventflow.model.log import Record
from eventflow.model.offset import Offset
from eventflow.store.blobs import digest_of

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.codec.codec import Codec
    from eventflow.model.conclusions import Conclusions, Firing, GivenUp
    from eventflow.model.log import NewRecord
    from eventflow.model.run import RunRequest
    from eventflow.model.state import HeldEvent
    from eventflow.model.topics import Topics

__all__ = ["Staging", "Tally"]

_CAUSES_INLINE_BYTES = 256 * 1024
_CAUSE_BYTES = 1024  # more than a cause has besides its payload, in general
_MOST_RECORDS = 10_000
_MOST_BYTES = 16 * 2**20
_NO_RECORD = -1


@dataclass(slots=True)
class Tally:
    """What the records of one transaction come to, for the metrics. `starts` are the times of the
    records that started runs, `firings` the due times that did."""

    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    starts: list[datetime] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    forwards: int = 0
    rerouted: int = 0
    id_conflicts: int = 0


@dataclass(slots=True)
class Staging:
    """Collects the records of one transaction of a partition, and the blobs that they refer to.

    `records` has with each the offset of the input record that it follows from; none has that of
    what a timer alone led to. `blobs` are
    bytes by (project, digest), to be durable before the transaction begins.
    """

    codec: Codec
    topics: Topics
    partition: int
    records: list[tuple[int, NewRecord]] = field(default_factory=list)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether it should be committed before more is decided: memory is bounded."""
        return len(self.records) >= _MOST_RECORDS or self._size_bytes >= _MOST_BYTES

    def conclude(self, record: Record, conclusions: Conclusions) -> None:
        """What follows from a record: dead letters, requests, forwards, decisions, state."""
        if conclusions.is_empty:
            return
        for given_up in conclusions.dead_letters:
            self._give_up_part(record, given_up)
        by_record = len(conclusions.requests) - len(conclusions.firings)
        self.tally.starts.extend([record.appended_at] * by_record)
        self._conclude(record.offset, conclusions)

    def conclude_timers(self, conclusions: Conclusions) -> None:
        """What follows from timers that fired without a record: requests, decisions, state."""
        self._conclude(_NO_RECORD, conclusions)

    def _conclude(self, offset: int, conclusions: Conclusions) -> None:
        for request in conclusions.requests:
            self._add(offset, self.codec.new_record(self._off_loaded(request)))
        for forward in conclusions.forwards:
            self._add(offset, self.codec.new_record(forward))
        for decision in conclusions.decisions:
            self.tally.verdicts[decision.verdict.value] += 1
            self._add(offset, self.codec.new_record(decision, partition=self.partition))
        for change in conclusions.changes:
            write = self.codec.tombstone if change.is_forgotten else self.codec.new_record
            self._add(offset, write(change.record, partition=self.partition))
        self.tally.firings += conclusions.firings
        self.tally.forwards += len(conclusions.forwards)
        self.tally.id_conflicts += conclusions.id_conflicts

    def give_up(
        self, record: Record, reason: str, message: str, *, namespace: str | None = None
    ) -> None:
        """The record as a whole becomes a dead letter, byte for byte."""
        self.tally.dead_letters[reason] += 1
        letter = dead_letter(
            self.topics, record, reason=reason, message=message, namespace=namespace
        )
        self._add(record.offset, letter)

    def reroute(self, record: Record, topic_id: str, namespace: str) -> None:
        """The record goes to the partition of its namespace."""
        self.tally.rerouted += 1
        again = rerouted(self.topics, record, topic_id=topic_id, namespace=namespace)
        self._add(record.offset, again)

    def record_gap(self, start: int, first: int, topic_id: str, now: datetime) -> None:
        """Retention deleted [start, first) unread: a dead letter without key or value."""
        origin = Offset(self.topics.events, topic_id, self.partition, start)
        missing = Record(
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            key=None,
            value=None,
            headers=origin_headers(origin),
            appended_at=now,
        )
        message = f"Retention deleted the offsets {start} to {first - 1} before they were read."
        self.give_up(missing, Reason.GAP, message)

    def _give_up_part(self, record: Record, given_up: GivenUp) -> None:
        self.tally.dead_letters[given_up.reason] += 1
        meant = record if given_up.held is None else self._as_record(given_up.held)
        letter = dead_letter(
            self.topics,
            meant,
            reason=given_up.reason,
            message=given_up.message,
            namespace=given_up.deployment[0] if given_up.deployment else None,
            deployment=given_up.deployment,
        )
        self._add(record.offset, letter)

    def _as_record(self, held: HeldEvent) -> Record:
        """All that a join knows of an event, as a record at the place of the original one."""
        origin = held.cause.origin
        written = self.codec.new_record(held, partition=self.partition)
        return Record(
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            key=held.cause.namespace.encode(),
            value=written.value,
            headers=(*written.headers, *origin_headers(origin)),
            appended_at=held.cause.at,
        )

    def _off_loaded(self, request: RunRequest) -> RunRequest:
        """With large causes in a blob, which is content-addressed: a repeat puts the same."""
        rough = sum(len(cause.payload) + _CAUSE_BYTES for cause in request.causes)
        if rough <= _CAUSES_INLINE_BYTES:
            return request
        blob = self.codec.causes_to_bytes(request.causes)
        if len(blob) <= _CAUSES_INLINE_BYTES:
            return request
        place = (request.namespace.partition("/")[0], digest_of(blob))
        if place not in self.blobs:
            self.blobs[place] = blob
            self._size_bytes += len(blob)
        return replace(request, causes=(), causes_digest=place[1])

    def _add(self, offset: int, record: NewRecord) -> None:
        self.records.append((offset, record))
        self._size_bytes += len(record.value or b"")
