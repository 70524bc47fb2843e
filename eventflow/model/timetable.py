"""Timetables: when `@schedule` starts a flow, and how one of its due times is named as a cause.

The model does no I/O, and time zones are files: due times come from a `Calendar` that is handed
in (`eventflow.calendars`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from eventflow.model.offset import Offset

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DUE_TOPIC", "Calendar", "Timetable", "due_origin"]

DUE_TOPIC = "schedule"
_TOPIC_ID = "due"
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Timetable:
    """A cron expression of five fields, by the clocks of a time zone (an IANA name)."""

    cron: str
    timezone: str

    def __str__(self) -> str:
        return f"{self.cron} {self.timezone}"


class Calendar(Protocol):
    """Knows when a timetable is due. Due times are aware, UTC, and whole minutes."""

    def after(self, timetable: Timetable, at: datetime) -> Iterator[datetime]:
        """The due times later than `at`, earliest first; ends where there are no more."""

    def latest(self, timetable: Timetable, at: datetime) -> datetime | None:
        """The last due time at `at` or before; None when there is none within years."""


def due_origin(due_at: datetime) -> Offset:
    """What stands for the place of a record where a due time is the cause: the time, as Unix
    seconds, in the place of an offset. Of one flow, equal due times are one cause."""
    return Offset(DUE_TOPIC, _TOPIC_ID, 0, (due_at - _UNIX_EPOCH) // _SECOND)
