"""Which runners live: what follows from the heartbeats on `runners`, in the broker's time.

The clock of this module is the append time of the log itself, so that every custodian comes to
the same conclusion, whatever its own clock says (docs/protocols.md §6.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from eventflow.model.run import Working

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from eventflow.model.run import Heartbeat, RunRecord

__all__ = ["RunnersSeen", "WhyTakeOver", "taken_over"]


class WhyTakeOver(StrEnum):
    """Why an open run needs another runner."""

    SILENT = "silent"
    DIED = "died"
    GONE = "gone"
    RELEASED = "released"
    NOT_LISTED = "not listed"

    @property
    def is_silence(self) -> bool:
        """Whether the run may have killed its runner: only these take-overs count."""
        return self in (WhyTakeOver.SILENT, WhyTakeOver.DIED)


@dataclass(slots=True)
class _Life:
    beat: Heartbeat
    at: datetime
    before: tuple[Heartbeat, datetime] | None = None

    def last_two(self) -> Iterator[tuple[Heartbeat, datetime]]:
        yield self.beat, self.at
        if self.before is not None:
            yield self.before


@dataclass(slots=True)
class RunnersSeen:
    """The last two heartbeats of every runner, and the latest append time of any."""

    lease: timedelta
    _lives: dict[str, _Life] = field(default_factory=dict)
    _latest: datetime | None = None

    def fold(self, beat: Heartbeat, at: datetime) -> None:
        """Take in a heartbeat appended at `at`."""
        known = self._lives.get(beat.runner_id)
        before = (known.beat, known.at) if known else None
        self._lives[beat.runner_id] = _Life(beat, at, before)
        self._latest = at if self._latest is None else max(at, self._latest)

    def forget(self, runner_id: str) -> None:
        """Take in the tombstone of a runner."""
        self._lives.pop(runner_id, None)

    def last(self, runner_id: str) -> Heartbeat | None:
        """The last heartbeat of a runner."""
        life = self._lives.get(runner_id)
        return life.beat if life else None

    def older_than(self, age: timedelta) -> Iterator[str]:
        """Runners whose last heartbeat was appended longer ago than `age`."""
        for runner_id, life in self._lives.items():
            if self._latest is not None and self._latest - life.at > age:
                yield runner_id

    def why_take_over(self, record: RunRecord, written_at: datetime) -> WhyTakeOver | None:
        """Why an open run, whose record was appended at `written_at`, needs another runner.

        None while its runner may still end it.
        """
        if not record.runner_id:
            return WhyTakeOver.RELEASED
        life = self._lives.get(record.runner_id)
        if life is not None and life.beat.is_gone:
            return WhyTakeOver.GONE
        if self._is_silent_since(max(life.at, written_at) if life else written_at):
            return WhyTakeOver.SILENT
        if life is not None and _is_disowned(life, record, written_at):
            return WhyTakeOver.NOT_LISTED
        return None

    def _is_silent_since(self, at: datetime) -> bool:
        return self._latest is not None and self._latest - at >= self.lease


def _is_disowned(life: _Life, record: RunRecord, written_at: datetime) -> bool:
    beats = tuple(life.last_two())
    this = Working(record.run_id, record.epoch)
    return len(beats) == 2 and all(at > written_at and this not in b.working for b, at in beats)


def taken_over(record: RunRecord, runner_id: str, why: WhyTakeOver, finished: int) -> RunRecord:
    """The record of a run in its next epoch; `finished` tasks have their artifacts by now."""
    stalled = 0 if finished > record.finished_tasks else record.stalled_take_overs
    return replace(
        record,
        epoch=record.epoch + 1,
        runner_id=runner_id,
        stalled_take_overs=stalled + (1 if why.is_silence else 0),
        finished_tasks=finished,
    )
