"""A consumer group as its coordinator keeps it: the classic protocol, eager rebalances, range.

Whoever joins, leaves or lapses begins a rebalance: every member has to join again, which it hears
by its next heartbeat; one that does not in time is out. When all have joined there is another
generation, with an assignment for each. Nothing that belongs to an older one is allowed then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from eventflow.errors import Fenced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventflow.model.log import TopicPartition
    from tests.simulation.simulated_outage import Outage
    from tests.simulation.universe import Universe

__all__ = ["Answer", "Fence", "Group", "GroupFenced", "share"]


class Answer(Enum):
    """What a member hears by a heartbeat."""

    GO_ON = "go on"
    JOIN_AGAIN = "join again"
    UNKNOWN = "unknown member"


@dataclass(frozen=True, slots=True)
class Fence:
    """A member in one generation of the group: what its commits are checked against."""

    member_id: str
    generation: int


class GroupFenced(Fenced):
    """Fenced by the group: the assignment is dead, not only its producer."""


@dataclass(slots=True, eq=False)
class _Member:
    partitions: int
    session: timedelta
    heard_at: timedelta
    has_joined: bool = True
    assigned: tuple[int, ...] = ()


@dataclass(slots=True, eq=False)
class Group:
    """`offsets` are those committed. Every member owns the same numbers of all topics."""

    universe: Universe
    outage: Outage
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    _unsettled: Counter[TopicPartition] = field(default_factory=Counter)
    generation: int = 0
    _members: dict[str, _Member] = field(default_factory=dict)
    _is_rebalancing: bool = False

    def join(self, member_id: str, partitions: int, session: timedelta) -> str:
        """Join, or join again; the member's id from now on. Its session is the patience of a
        rebalance, too."""
        known = self._members.get(member_id)
        if known is None:
            member_id = f"{self.universe.random.getrandbits(64):016x}"
            known = self._members[member_id] = _Member(partitions, session, self.universe.time)
            self._watch(member_id, known)
        known.heard_at = self.universe.time
        self.rebalance()
        known.has_joined = True
        self._complete()
        return member_id

    def leave(self, member_id: str) -> None:
        """A member goes; also when others expel it."""
        if self._members.pop(member_id, None) is not None:
            self.rebalance()
            self._complete()

    def rebalance(self) -> None:
        """Have every member join again."""
        if self._is_rebalancing:
            return
        self._is_rebalancing = True
        generation, patience = self.generation, []
        for member in self._members.values():
            member.has_joined = False
            patience.append(member.session)
        if patience:
            self.universe.later(max(patience), lambda: self._expel_late(generation))

    def heartbeat(self, member_id: str) -> Answer:
        """A member lives; what it has to do."""
        member = self._members.get(member_id)
        if member is None:
            return Answer.UNKNOWN
        member.heard_at = self.universe.time
        if self._is_rebalancing and not member.has_joined:
            return Answer.JOIN_AGAIN
        return Answer.GO_ON

    def assigned(self, member_id: str) -> tuple[Fence, tuple[int, ...]] | None:
        """The generation and partition numbers of a member; None before there are any."""
        member = self._members.get(member_id)
        if member is None or self._is_rebalancing:
            return None
        return Fence(member_id, self.generation), member.assigned

    def allows(self, fence: Fence) -> bool:
        """Whether offsets may be committed under it. During a rebalance the old generation still
        may: its members own their partitions until they join again."""
        return fence.member_id in self._members and fence.generation == self.generation

    def expect(self, offsets: Mapping[TopicPartition, int]) -> None:
        """An open transaction will move offsets."""
        self._unsettled.update(offsets.keys())

    def settle(self, offsets: Mapping[TopicPartition, int], *, is_committed: bool) -> None:
        """Its marker has arrived."""
        self._unsettled.subtract(offsets.keys())
        if is_committed:
            self.offsets.update(offsets)

    def is_settled(self, at: TopicPartition) -> bool:
        """Whether the committed offset is told: not while a transaction may move it (KIP-447)."""
        return not self._unsettled[at]

    @property
    def member_ids(self) -> Sequence[str]:
        """Who is in it."""
        return sorted(self._members)

    def _complete(self) -> None:
        if not self._is_rebalancing or not all(m.has_joined for m in self._members.values()):
            return
        self._is_rebalancing = False
        self.generation += 1
        for member_id, numbers in share(self._counts()).items():
            self._members[member_id].assigned = numbers
        self.universe.notify()

    def _counts(self) -> dict[str, int]:
        return {member_id: self._members[member_id].partitions for member_id in self.member_ids}

    def _expel_late(self, generation: int) -> None:
        """The patience of a rebalance is over."""
        if not self._is_rebalancing or self.generation != generation:
            return
        if self.outage.left:  # it begins anew with the coordinator
            sessions = [member.session for member in self._members.values()]
            after = self.outage.left + max(sessions, default=timedelta())
            self.universe.later(after, lambda: self._expel_late(generation))
            return
        for member_id in [each for each, m in self._members.items() if not m.has_joined]:
            del self._members[member_id]
        self._complete()

    def _watch(self, member_id: str, member: _Member) -> None:
        """Expel a member whose session is over; all begin anew with the coordinator."""
        if self._members.get(member_id) is not member:
            return
        heard_at = max(member.heard_at, self.outage.until)
        left = heard_at + member.session - self.universe.time
        if left.total_seconds() > 0:
            self.universe.later(left, lambda: self._watch(member_id, member))
        else:
            self.leave(member_id)


def share(counts: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The range assignor over co-partitioned topics: `counts` has the partitions, by member."""
    shares: dict[str, tuple[int, ...]] = {}
    first = 0
    for index, member_id in enumerate(counts):
        each, more = divmod(counts[member_id], len(counts))
        size = each + (index < more)
        shares[member_id] = tuple(range(first, first + size))
        first += size
    return shares
