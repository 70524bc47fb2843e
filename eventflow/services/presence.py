"""A runner among runners: its heartbeat, its lease, and what it knows of the others.

A heartbeat counts from the moment *before* it was sent, so the lease that others grant is never
shorter than the one this runner takes itself to have (docs/protocols.md §6.6).
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from eventflow.errors import UndecodableRecord
from eventflow.model.log import NewRecord, TopicPartition
from eventflow.model.presence import RunnersSeen, WhyTakeOver
from eventflow.model.run import Heartbeat, RunRecord, Working

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from eventflow.bus.port import Reader
    from eventflow.model.log import Record
    from eventflow.services.log_parts import LogParts
    from eventflow.settings import RunnerSettings

__all__ = ["Host", "Presence"]

_log = structlog.get_logger(__name__)
_FORGET_AFTER = timedelta(hours=1)
_NO_WAIT = timedelta()


@dataclass(frozen=True, slots=True)
class Host:
    """Where a runner process is. On one host, `is_alive` tells at once whether a pid lives.

    `boot_id` names one boot of one host and, on Linux, one process id space in it, so that two
    containers never take each other's pids for their own.
    """

    name: str
    boot_id: str
    pid: int
    is_alive: Callable[[int], bool]

    @classmethod
    def here(cls) -> Host:
        """This process."""
        return cls(socket.gethostname(), _boot_id(), os.getpid(), _is_alive)

    def knows_dead(self, beat: Heartbeat) -> bool:
        """Whether the process of a heartbeat was on this host and is no more."""
        is_here = (beat.host, beat.boot_id) == (self.name, self.boot_id)
        return is_here and beat.pid != self.pid and not self.is_alive(beat.pid)


class Presence:
    """Heartbeats of this runner and of the others. Call `tick` in every step."""

    def __init__(
        self,
        log: LogParts,
        settings: RunnerSettings,
        host: Host,
        slots: int,
    ) -> None:
        self._log, self._settings, self._host, self._slots = log, settings, host, slots
        self._bus, self._codec, self._effects = log.bus, log.codec, log.effects
        self._seen = RunnersSeen(settings.lease)
        self._partition = TopicPartition(log.topics.runners, 0)
        self._reader: Reader = log.bus.reader({self._partition: 0})
        self._has_caught_up = False
        self._begin_life()

    @property
    def runner_id(self) -> str:
        """The id of this process; a new one after each lapse."""
        return self._runner_id

    @property
    def has_caught_up(self) -> bool:
        """Whether all runners have been read of once; before that, nobody is taken for dead."""
        return self._has_caught_up

    @property
    def has_lapsed(self) -> bool:
        """Whether so long has passed since an acknowledged heartbeat that all work must stop."""
        silent = self._effects.clock.elapsed() - self._acknowledged
        return self._has_beaten and silent >= self._settings.lease - self._settings.lease_margin

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next heartbeat."""
        return self._effects.clock.elapsed() >= self._due

    def tick(self, working: Sequence[Working]) -> None:
        """Read the others' heartbeats; send one's own when it is due.

        Without a free slot it reads no others': nothing can be taken over.
        """
        if len(working) < self._slots or not self._has_caught_up:
            self._follow()
        if self.is_due:
            self.beat(working)

    def beat(self, working: Sequence[Working]) -> None:
        """Send a heartbeat now; on return it is acknowledged."""
        before = self._effects.clock.elapsed()
        self._send(working, is_gone=False)
        self._effects.faults.reach("runner.beaten")
        self._has_beaten, self._acknowledged = True, before
        self._due = before + self._settings.heartbeat

    def renew(self) -> None:
        """After a lapse: the old id is gone, a new life begins."""
        self._say_gone()
        self._begin_life()

    def leave(self) -> None:
        """Say that this runner is gone, and stop following."""
        self._say_gone()
        self.close()

    def close(self) -> None:
        """Stop following, without a word."""
        self._reader.close()

    def why_take_over(self, record: RunRecord, written_at: datetime) -> WhyTakeOver | None:
        """Why another runner has to go on with an open run that this one does not execute."""
        if not self._has_caught_up:
            return None
        beat = self._seen.last(record.runner_id)
        if beat is not None and self._host.knows_dead(beat) and not beat.is_gone:
            return WhyTakeOver.DIED
        return self._seen.why_take_over(record, written_at)

    def sweep(self) -> None:
        """Tombstone runners that were last heard of long ago; harmless when several do it."""
        stale = tuple(self._seen.older_than(_FORGET_AFTER + self._settings.lease))
        if stale:
            self._bus.publish([self._tombstone(runner_id) for runner_id in stale])

    def _begin_life(self) -> None:
        self._runner_id = self._effects.ids.token()
        self._has_beaten = False
        self._acknowledged = self._due = self._effects.clock.elapsed()

    def _follow(self) -> None:
        poll = self._reader.poll(_NO_WAIT)
        for record in poll.records.get(self._partition, ()):
            self._fold(record)
        self._has_caught_up = self._has_caught_up or self._partition in poll.ended

    def _fold(self, record: Record) -> None:
        if record.value is None:
            self._seen.forget((record.key or b"").decode())
            return
        try:
            beat = self._log.decoder.decode(record.value)
        except UndecodableRecord as error:
            # It says nothing of any runner. It stays in the topic, so nothing is lost.
            _log.warning("runners.undecodable", offset=record.offset, error=str(error))
            return
        if isinstance(beat, Heartbeat):
            self._seen.fold(beat, record.appended_at)

    def _say_gone(self) -> None:
        self._send((), is_gone=True)
        self._effects.faults.reach("runner.said-gone")

    def _send(self, working: Sequence[Working], *, is_gone: bool) -> None:
        self._bus.publish([self._codec.new_record(self._heartbeat(working, is_gone=is_gone))])

    def _heartbeat(self, working: Sequence[Working], *, is_gone: bool) -> Heartbeat:
        return Heartbeat(
            runner_id=self._runner_id,
            host=self._host.name,
            boot_id=self._host.boot_id,
            pid=self._host.pid,
            slots=self._slots,
            working=tuple(working),
            is_gone=is_gone,
            sent_at=self._effects.clock.now(),
        )

    def _tombstone(self, runner_id: str) -> NewRecord:
        return NewRecord(self._log.topics.runners, runner_id.encode(), None)


def _boot_id() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    if not boot.exists():
        return f"unknown:{uuid.uuid4()}"
    return f"{boot.read_text().strip()}:{space.readlink()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_defunct(pid)


def _is_defunct(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
