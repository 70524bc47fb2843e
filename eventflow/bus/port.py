"""The bus: a durable, partitioned log with consumer groups and transactions. The contract.

Both backends keep every promise below and pass `tests/contract/test_bus_*.py`. Order is promised
within a partition. Offsets of a partition grow but are not contiguous. All readers are
`read_committed`: a record of an aborted or unfinished transaction is never seen.

A service consumes *co-partitioned* topics: topics with the same partition count, of which a
member of the group owns the same partition numbers. So ownership is one `Assignment` per
partition number, over all the topics subscribed to.

Any call may raise BusUnreachable (no answer in time) or BusForbidden (refused principal).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime, timedelta

    from eventflow.model.log import NewRecord, Record, TopicInfo, TopicPartition, TopicSpec
    from eventflow.model.offset import Offset

__all__ = ["Assignment", "Bus", "Consumer", "Poll", "Reader", "Transaction", "Writer"]


class Bus(Protocol):
    """One installation's log. An object may be used by several threads; what it makes may not."""

    def ensure(self, specs: Sequence[TopicSpec], *, create: bool) -> Sequence[str]:
        """Check that the topics are as they have to be; make the missing ones when `create`.

        Returns the names of the topics that were made. Never changes or deletes an existing one.
        A longer retention or a larger limit than asked for is fine.

        Raises:
            TopicMismatch: a topic is missing (and not `create`) or differs; the message lists
                each difference and what to do.
        """

    def topic(self, name: str) -> TopicInfo:
        """What a topic is, asked anew.

        Raises:
            TopicMismatch: there is no topic of that name.
        """

    def publish(self, records: Sequence[NewRecord]) -> Sequence[Offset]:
        """Append records outside of any transaction; where each one stands, in the same order.

        On return all of them are held by all in-sync replicas, or by an fsync. When it raises,
        any of them may be in the log or not.

        Raises:
            RecordTooLarge: one of them exceeds the limit of its topic; that one is not written.
        """

    def writer(self, transactional_id: str, *, timeout: timedelta) -> Writer:
        """Take over a transactional id: an older holder's open transaction is aborted, and the
        older holder is fenced from now on (KIP-98, `InitProducerId`)."""

    def reader(self, start: Mapping[TopicPartition, int]) -> Reader:
        """Read partitions from the given offsets, outside of any group.

        An offset below the first one kept starts at the first one kept.
        """

    def consumer(self, group: str, topics: Sequence[str], *, transactional_id: str) -> Consumer:
        """Join a consumer group over co-partitioned topics.

        The transactions of partition p run under the id `<transactional_id>.<p>`. A group reads
        from the first record kept; the position that counts is the service's own (`seek`).
        """

    def high_watermark(self, partition: TopicPartition) -> int:
        """The offset after the last record appended, those of open transactions included.

        The true one: the leader's answer to a READ_UNCOMMITTED ListOffsets, not the last stable
        offset (docs/protocols.md §3).
        """

    def low_watermark(self, partition: TopicPartition) -> int:
        """The offset of the first record kept (retention deletes from the front)."""

    def offset_at(self, partition: TopicPartition, at: datetime) -> int:
        """The first offset appended at `at` or later; the high watermark when there is none."""

    def close(self) -> None:
        """Leave; everything that was made from this bus is unusable afterwards."""


class Writer(Protocol):
    """The holder of a transactional id, outside of any group: what `deploy` writes with."""

    def begin(self) -> Transaction:
        """Open a transaction; one at a time.

        Raises:
            Fenced: another writer took over the id.
        """

    def close(self) -> None:
        """Abort what is open and let go of the id."""


class Transaction(Protocol):
    """Records and consumed offsets that become visible together, or not at all."""

    def append(self, record: NewRecord) -> None:
        """Add a record.

        Raises:
            RecordTooLarge: it exceeds the limit of its topic. Abort; nothing will be visible.
        """

    def commit(self, consumed: Mapping[str, int] | None = None) -> Future[None]:
        """Make the records visible and set the group's next offset of each topic in `consumed`.

        The group may hear of its offsets a second later, in the next `poll` of the member, and
        when the partition moves in good order; a crash in between leaves it with older ones.
        Returns at once, so that the partitions of a service commit in parallel. The result:

        - None: all of it is durable and visible.
        - Fenced: another owner has taken the id over, or the `Assignment` is dead; nothing is
          visible. Also after a pause past the session and a rejoin, and when this owner took the
          id over too late: that is proved by the group generation of the `Assignment`.
        - BusBusy: nothing is visible; take the work up again from the last position.
        - BusUnreachable: unknown; the next owner of the id finds it visible or aborted.
        """

    def abort(self) -> None:
        """Drop everything. Idempotent, and without effect after a commit."""


class Assignment(Protocol):
    """This member's ownership of one partition number, from assignment until revoke or loss.

    It holds the group generation captured when it was assigned. When it is not live any more,
    everything on it raises Fenced. It starts *paused* on every topic.
    """

    @property
    def partition(self) -> int:
        """The partition number, of each topic subscribed to."""

    @property
    def is_live(self) -> bool:
        """Whether the partition is still this member's, as far as it can know without asking."""

    def acquire(self) -> None:
        """Take over the transactional id of this partition; do it before reading any state.

        Afterwards no older owner's transaction is open, and none of theirs will commit.
        """

    def seek(self, topic: str, offset: int) -> None:
        """Read on from `offset`; records already fetched are dropped."""

    def pause(self, topic: str) -> None:
        """Deliver nothing more of `topic` until `resume`; idempotent."""

    def resume(self, topic: str) -> None:
        """Deliver again; idempotent."""

    def begin(self) -> Transaction:
        """Open a transaction; one at a time, after `acquire`.

        Raises:
            Fenced: the assignment is not live, or the id was taken over.
        """


@dataclass(frozen=True, slots=True)
class Poll:
    """What a poll of a consumer brought. Handle `lost`, then `assigned`, then `records`.

    `records` is grouped by partition, each in order of offset. `ended` has the partitions whose
    end was reached (nothing committed is left to read there), with the next offset.
    """

    lost: tuple[Assignment, ...] = ()
    assigned: tuple[Assignment, ...] = ()
    records: Mapping[TopicPartition, Sequence[Record]] = field(default_factory=dict)
    ended: Mapping[TopicPartition, int] = field(default_factory=dict)


class Consumer(Protocol):
    """A member of a consumer group."""

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """Wait up to `timeout` for at least one record, assignment change or end.

        At most `limit` records. Ownership moves only inside this call, so a service that does
        not poll for longer than the session loses its partitions.
        """

    @property
    def lag(self) -> Mapping[TopicPartition, int]:
        """Records between the position and the end, per owned partition, as last known."""

    def wake(self) -> None:
        """End a running `poll` early, from another thread."""

    def close(self) -> None:
        """Leave the group in good order: the partitions move at once."""


class Reader(Protocol):
    """Reads given partitions in order of offset."""

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """As of a consumer, without assignments. `ended` is reported each time the end is met."""

    def close(self) -> None:
        """Let go of connections."""
