"""A member of a simulated group, and a reader outside of any.

As librdkafka: heartbeats go out in the background while the process runs; what they say
(join again, unknown member) and a new assignment take effect in the next poll. A member that does
not poll for longer than its session leaves; one that hears nothing for so long takes itself to be
out, whatever the group thinks.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.bus.port import Poll
from eventflow.errors import BusUnreachable, Fenced
from eventflow.model.log import TopicPartition
from tests.simulation.simulated_feed import Feed
from tests.simulation.simulated_group import Answer, Fence
from tests.simulation.simulated_producer import SimulatedProducer, SimulatedTransaction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.simulated_group import Group
    from tests.simulation.simulated_link import Link, SimulatedFuture, Steps

__all__ = ["SimulatedAssignment", "SimulatedConsumer", "SimulatedReader"]

_NOBODY = Fence("", -1)
_BETWEEN_TAKE_OVERS = timedelta(seconds=1)
_BETWEEN_LOOKS = timedelta(seconds=1)


class SimulatedAssignment:
    """See `Assignment`. The `fence` is captured when it is made.

    Where faults are planted: `acquire` (no init at take-over), `fence` and `is_live`.
    """

    def __init__(
        self, link: Link, feed: Feed, group: Group, fence: Fence, partition: int, name: str
    ) -> None:
        self._link, self._feed = link, feed
        self._group, self._fence, self._partition = group, fence, partition
        self._transactional_id = f"{name}.{partition}"
        self._is_live = True
        self._producer: SimulatedProducer | None = None
        self._next_take_over = timedelta()

    @property
    def partition(self) -> int:
        """See `Assignment`."""
        return self._partition

    @property
    def is_live(self) -> bool:
        """See `Assignment`."""
        return self._is_live

    @property
    def fence(self) -> Fence:
        """Member and generation of this assignment. Never asked anew."""
        return self._fence

    @property
    def group(self) -> Group:
        """The group at its coordinator."""
        return self._group

    def acquire(self) -> None:
        """See `Assignment`."""
        self._check_live()
        if self._producer is not None:
            if self._producer.is_idle:
                return
            self._producer.drop().result()
        pause = self._next_take_over - self._link.universe.time
        if pause > timedelta():
            self._link.universe.wait(pause, lambda: False)
        self._next_take_over = self._link.universe.time + _BETWEEN_TAKE_OVERS
        self._producer = SimulatedProducer(self._link, self._transactional_id, self._link.patience)

    def seek(self, topic: str, offset: int) -> None:
        """See `Assignment`."""
        self._check_live()
        self._feed.seek(self._at(topic), offset)

    def pause(self, topic: str) -> None:
        """See `Assignment`."""
        self._check_live()
        self._feed.pause(self._at(topic))

    def resume(self, topic: str) -> None:
        """See `Assignment`."""
        self._check_live()
        at = self._at(topic)
        self._feed.resume(at, lambda: self._committed(at))

    def begin(self) -> SimulatedTransaction:
        """See `Assignment`."""
        self._check_live()
        if self._producer is None:
            raise Fenced(f"partition {self._partition} was not acquired")
        if self._producer.was_aborted:
            self.acquire()
        self._producer.begin()
        return SimulatedTransaction(self._link, self._producer, self)

    def die(self) -> None:
        """It was lost: everything on it raises Fenced from now on."""
        self._is_live = False

    def release(self) -> SimulatedFuture | None:
        """Let the producer go, after a commit that is under way; in the background."""
        producer, self._producer = self._producer, None
        return None if producer is None else producer.drop()

    def _committed(self, at: TopicPartition) -> int:
        self._link.ask("bus.committed")
        if not self._link.universe.wait(self._link.patience, lambda: self._group.is_settled(at)):
            raise BusUnreachable(f"the committed offset of {at} is not settled")
        return self._group.offsets.get(at, 0)

    def _at(self, topic: str) -> TopicPartition:
        return TopicPartition(topic, self._partition)

    def _check_live(self) -> None:
        if not self.is_live:
            raise Fenced(f"partition {self._partition} is not this member's any more")


class SimulatedConsumer:
    """See `Consumer`."""

    def __init__(
        self, link: Link, group: Group, topics: Sequence[str], transactional_id: str
    ) -> None:
        self._link, self._group, self._topics = link, group, tuple(topics)
        self._transactional_id = transactional_id
        self._feed = Feed(link)
        self._fence = _NOBODY
        self._member_id = ""
        self._has_joined = self._must_join = self._is_polling = self._is_woken = False
        self._polled_at = self._heard_at = link.universe.time
        self._owned: dict[int, SimulatedAssignment] = {}
        self._assigned: list[SimulatedAssignment] = []
        self._lost: list[SimulatedAssignment] = []
        self.is_closed = False

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """See `Consumer`."""
        self._is_polling = True
        self._link.go("bus.poll")
        until = self._link.universe.time + timeout
        poll = self._look(limit)
        while not (_has_any(poll) or self._is_woken):
            left = until - self._link.universe.time
            if left <= timedelta() or not self._link.universe.wait(left, self._has_news):
                break
            poll = self._look(limit)
        self._is_woken = self._is_polling = False
        self._polled_at = self._link.universe.time
        return poll

    @property
    def lag(self) -> Mapping[TopicPartition, int]:
        """See `Consumer`."""
        return self._feed.lag()

    def wake(self) -> None:
        """See `Consumer`."""
        self._is_woken = True
        self._link.universe.notify()

    def close(self) -> None:
        """See `Consumer`. Commits under way end first, so that they count."""
        if self.is_closed:
            return
        self.is_closed = True
        self._link.go("bus.leave")
        leaving = [each.release() for each in self._owned.values()]
        for future in leaving:
            if future is not None:
                future.result()
        self._disown()
        if not (self._link.happens("bus.refused") or self._link.away):
            self._leave()  # else the group hears by the end of the session
        self._link.go("bus.left")

    # -- in a poll -------------------------------------------------------------------------------

    def _has_news(self) -> bool:
        if self._link.away:
            return self._is_woken or (self._must_join and bool(self._owned))
        return (
            self._is_woken
            or self._must_join
            or self._is_assigned() is not None
            or self._feed.has_news()
        )

    def _look(self, limit: int) -> Poll:
        is_away = bool(self._link.away)
        if self._must_join or not self._has_joined:
            self._disown()
            if not is_away:
                self._join()
        found = None if is_away else self._is_assigned()
        if found is not None:
            self._own(*found)
        records, ended = self._feed.fetch(limit)
        poll = Poll(tuple(self._lost), tuple(self._assigned), records, ended)
        self._lost, self._assigned = [], []
        return poll

    def _is_assigned(self) -> tuple[Fence, tuple[int, ...]] | None:
        """An assignment of which nobody has heard here."""
        found = self._group.assigned(self._member_id)
        return None if found is None or found[0] == self._fence else found

    def _own(self, fence: Fence, numbers: tuple[int, ...]) -> None:
        self._fence = fence
        places = [TopicPartition(topic, number) for topic in self._topics for number in numbers]
        self._feed.follow(dict.fromkeys(places), is_paused=True)
        for number in numbers:
            self._owned[number] = SimulatedAssignment(
                self._link, self._feed, self._group, fence, number, self._transactional_id
            )
            self._assigned.append(self._owned[number])

    def _disown(self) -> None:
        """Eager: everything goes."""
        self._feed.follow({}, is_paused=True)
        for assignment in self._owned.values():
            assignment.release()
            assignment.die()
            if assignment in self._assigned:  # nobody has heard of it
                self._assigned.remove(assignment)
            else:
                self._lost.append(assignment)
        self._owned = {}

    # -- in the background -----------------------------------------------------------------------

    def _join(self) -> None:
        partitions = len(self._link.cluster.topic(self._topics[0]).logs)
        is_first, self._has_joined, self._must_join = not self._has_joined, True, False
        self._member_id = self._group.join(self._member_id, partitions, self._link.session)
        self._heard_at = self._link.universe.time
        if is_first:
            self._link.in_background(self._heartbeats())
            self._link.in_background(self._watching())

    def _heartbeats(self) -> Steps:
        while not self.is_closed:
            yield self._link.turn(self._link.heartbeat)
            idle = self._link.universe.time - self._polled_at
            if not self._is_polling and idle > self._link.session:
                self._leave()
                self._hear(Answer.UNKNOWN)
            else:
                with suppress(BusUnreachable):  # it sends the next one
                    yield from self._heartbeat()

    def _watching(self) -> Steps:
        """The session, as the client counts it; a stop of the process ends it, too."""
        while not self.is_closed:
            yield self._link.turn(_BETWEEN_LOOKS)
            yield self._link.turn()
            if self._link.universe.time - self._heard_at > self._link.session:
                self._hear(Answer.UNKNOWN)

    def _heartbeat(self) -> Steps:
        yield self._link.wire()
        if self._link.happens("group.rebalances"):
            self._group.rebalance()
        if self._link.happens("group.expels"):
            self._leave()
        answer = self._group.heartbeat(self._member_id)
        yield self._link.turn()
        self._heard_at = self._link.universe.time
        self._hear(answer)

    def _hear(self, answer: Answer) -> None:
        if answer is Answer.UNKNOWN:
            self._member_id = ""
        if answer is not Answer.GO_ON and not self._must_join:
            self._must_join = True
            self._link.universe.notify()

    def _leave(self) -> None:
        self._group.leave(self._member_id)


class SimulatedReader:
    """See `Reader`."""

    def __init__(self, link: Link, start: Mapping[TopicPartition, int]) -> None:
        self._link = link
        self._feed = Feed(link)
        self._feed.follow(start, is_paused=False)

    def poll(self, timeout: timedelta, *, limit: int = 500) -> Poll:
        """See `Reader`."""
        universe = self._link.universe
        self._link.go("bus.read")
        until = universe.time + timeout
        while True:
            records, ended = self._feed.fetch(limit)
            left = until - universe.time
            if records or ended or left <= timedelta():
                return Poll(records=records, ended=ended)
            if not universe.wait(left, self._feed.has_news):
                return Poll()

    def close(self) -> None:
        """See `Reader`."""


def _has_any(poll: Poll) -> bool:
    return bool(poll.lost or poll.assigned or poll.records or poll.ended)
