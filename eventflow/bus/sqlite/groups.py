"""Membership of a consumer group: who owns which partition, decided by the members themselves.

A group is rows in tables: members with the time at which their session ends, and one claim per
owned partition. A member that polls prolongs its session, removes the members whose session has
ended, gives up the partitions that are no longer in its share, and claims those of its share that
nobody holds. So a partition is free only when its owner gave it up in `poll`, left, or lapsed.

Every change has a generation of its own; a claim carries the one in which it was made, and is
the fence of everything that is written under it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.errors import Fenced

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from eventflow.bus.sqlite.engine import Engine

__all__ = ["Change", "Claim", "Membership", "check_claim", "share"]

_HEARTBEATS_PER_SESSION = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """Ownership of a partition since one generation of the group."""

    group: str
    partition: int
    generation: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at the group brought; a partition may be lost and gained at once."""

    lost: tuple[Claim, ...] = ()
    gained: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class _View:
    """The group as this member saw it last. Times in milliseconds of the boot-time clock."""

    member: int = 0
    generation: int = -1
    expires_at: int = 0
    due_at: int = 0
    claims: Mapping[int, int] = field(default_factory=dict)


class Membership:
    """One member's part in its group. Used by one thread."""

    def __init__(self, engine: Engine, group: str, partitions: int) -> None:
        self._engine = engine
        self._group = group
        self._partitions = partitions
        self._session = engine.session // timedelta(milliseconds=1)
        self._view = _View()

    @property
    def is_lapsed(self) -> bool:
        """Whether the session ended, by this machine's clock."""
        return self._engine.boot_clock() >= self._view.expires_at

    def keep(self) -> Change:
        """Join or stay in the group, and follow its changes: one read when there are none."""
        before = self._view
        if self._engine.boot_clock() < before.due_at and self._generation() == before.generation:
            return Change()
        with self._engine.database.write() as connection:
            after = self._settled(connection, self._engine.boot_clock())
        self._view = after
        if after.generation != before.generation:
            self._engine.wakers.wake_all()
        return Change(
            lost=self._claims(before, without=after), gained=self._claims(after, without=before)
        )

    def leave(self) -> None:
        """Give everything up at once."""
        mine = (self._group, self._view.member)
        with self._engine.database.write() as connection:
            connection.execute("DELETE FROM members WHERE consumer_group = ? AND member = ?", mine)
            connection.execute("DELETE FROM claims WHERE consumer_group = ? AND member = ?", mine)
            _advance(connection, self._group)
        self._view = _View()
        self._engine.wakers.wake_all()

    def _claims(self, view: _View, *, without: _View) -> tuple[Claim, ...]:
        other = without.claims
        return tuple(
            Claim(self._group, partition, generation)
            for partition, generation in view.claims.items()
            if other.get(partition) != generation
        )

    def _generation(self) -> int:
        with self._engine.database.read() as connection:
            return _generation(connection, self._group)

    def _settled(self, connection: sqlite3.Connection, now: int) -> _View:
        """Reap, stay or join, give up, claim."""
        expires_at = now + self._session
        is_changed = _reap(connection, self._group, self._engine.boot_id, now)
        member = self._view.member
        if not _prolong(connection, self._group, member, expires_at):
            member = _advance(connection, self._group)
            row = (self._group, member, self._engine.boot_id, expires_at)
            connection.execute("INSERT INTO members VALUES (?, ?, ?, ?)", row)
        members = _members(connection, self._group)
        mine = share(sorted(members), member, self._partitions)
        if _give_up(connection, self._group, member, mine) or is_changed:
            _advance(connection, self._group)
        _claim(connection, self._group, member, mine)
        others = [at for other, at in members.items() if other != member]
        return _View(
            member,
            _generation(connection, self._group),
            expires_at,
            min(now + self._session // _HEARTBEATS_PER_SESSION, *others, expires_at),
            _owned(connection, self._group, member),
        )


def share(members: Sequence[int], member: int, partitions: int) -> range:
    """The partitions of a member: contiguous stretches in the order of joining, the first ones
    longer by one where they do not divide (the `range` assignor of Kafka)."""
    size, longer = divmod(partitions, len(members))
    index = members.index(member)
    start = index * size + min(index, longer)
    return range(start, start + size + (index < longer))


def check_claim(connection: sqlite3.Connection, claim: Claim) -> None:
    """Make sure, inside a write, that the claim still stands: nobody removes it before the end.

    Raises:
        Fenced: it does not.
    """
    row = connection.execute(
        "SELECT generation FROM claims WHERE consumer_group = ? AND partition = ?",
        (claim.group, claim.partition),
    ).fetchone()
    if row != (claim.generation,):
        raise Fenced(
            f"Partition {claim.partition} of group {claim.group} is not owned since generation"
            f" {claim.generation} any more; nothing was written."
        )


def _generation(connection: sqlite3.Connection, group: str) -> int:
    row = connection.execute(
        "SELECT generation FROM consumer_groups WHERE name = ?", (group,)
    ).fetchone()
    return row[0] if row else 0


def _advance(connection: sqlite3.Connection, group: str) -> int:
    """A new generation."""
    connection.execute(
        "INSERT INTO consumer_groups VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET generation = generation + 1",
        (group,),
    )
    return _generation(connection, group)


def _reap(connection: sqlite3.Connection, group: str, boot_id: str, now: int) -> bool:
    """Remove the members whose session ended, or that lived before the last boot."""
    dead = connection.execute(
        "DELETE FROM members WHERE consumer_group = ? AND (boot_id <> ? OR expires_at <= ?)",
        (group, boot_id, now),
    ).rowcount
    if dead:
        connection.execute(
            "DELETE FROM claims WHERE consumer_group = ? AND member NOT IN"
            " (SELECT member FROM members WHERE consumer_group = ?)",
            (group, group),
        )
    return dead > 0


def _prolong(connection: sqlite3.Connection, group: str, member: int, expires_at: int) -> bool:
    updated = connection.execute(
        "UPDATE members SET expires_at = ? WHERE consumer_group = ? AND member = ?",
        (expires_at, group, member),
    )
    return updated.rowcount == 1


def _members(connection: sqlite3.Connection, group: str) -> dict[int, int]:
    rows = connection.execute(
        "SELECT member, expires_at FROM members WHERE consumer_group = ?", (group,)
    )
    return dict(rows.fetchall())


def _give_up(connection: sqlite3.Connection, group: str, member: int, kept: range) -> bool:
    """Let go of what is not in the share."""
    deleted = connection.execute(
        "DELETE FROM claims WHERE consumer_group = ? AND member = ?"
        " AND NOT (partition >= ? AND partition < ?)",
        (group, member, kept.start, kept.stop),
    )
    return deleted.rowcount > 0


def _claim(connection: sqlite3.Connection, group: str, member: int, wanted: range) -> None:
    """Take what is in the share and free; whoever holds the rest gives it up at its next poll."""
    held = connection.execute("SELECT partition FROM claims WHERE consumer_group = ?", (group,))
    free = set(wanted).difference(partition for (partition,) in held.fetchall())
    if free:
        generation = _advance(connection, group)
        connection.executemany(
            "INSERT INTO claims VALUES (?, ?, ?, ?)",
            [(group, partition, member, generation) for partition in sorted(free)],
        )


def _owned(connection: sqlite3.Connection, group: str, member: int) -> dict[int, int]:
    rows = connection.execute(
        "SELECT partition, generation FROM claims WHERE consumer_group = ? AND member = ?"
        " ORDER BY partition",
        (group, member),
    )
    return dict(rows.fetchall())
