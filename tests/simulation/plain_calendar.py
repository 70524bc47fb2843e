"""A calendar for installations that live for a minute: `every 7` is due every seven seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from eventflow.model.timetable import Timetable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PlainCalendar", "every", "period_of"]

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def every(seconds: int) -> Timetable:
    """A timetable for `PlainCalendar`."""
    return Timetable(f"every {seconds}", "UTC")


def period_of(cron: str) -> timedelta:
    """The time between two due times; the first one is at 1970."""
    return timedelta(seconds=int(cron.removeprefix("every ")))


class PlainCalendar:
    """Stands in for `CronCalendar`."""

    def after(self, timetable: Timetable, at: datetime) -> Iterator[datetime]:
        period = period_of(timetable.cron)
        passed = (at - _UNIX_EPOCH) // period
        return (_UNIX_EPOCH + number * period for number in count(passed + 1))

    def latest(self, timetable: Timetable, at: datetime) -> datetime | None:
        period = period_of(timetable.cron)
        return _UNIX_EPOCH + (at - _UNIX_EPOCH) // period * period
