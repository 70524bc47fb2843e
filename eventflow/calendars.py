"""Calendars: when a cron expression is due by the clocks of a time zone.

Times are those of Debian's cron, as cronsim reads it. Where clocks are put forward, what is due
at a fixed time that does not exist is due at the first minute after the gap; where they are put
back, it is due once, the first time. What has `*` for its minute or hour goes by elapsed time.
Zones are those of the machine (`zoneinfo`), read once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from eventflow.errors import InvalidTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.model.timetable import Timetable

__all__ = ["CronCalendar", "timezone_of"]

# Each window is searched only when the one before it has no due time: short ones are counted
# minute by minute, and of a long one little is left.
_WINDOWS = tuple(timedelta(days=days) for days in (1 / 24, 1, 32, 366, 366 * 9))


class CronCalendar:
    """The calendar of this machine."""

    def after(self, timetable: Timetable, at: datetime) -> Iterator[datetime]:
        """See `Calendar`.

        Raises:
            InvalidTrigger: it is no cron expression, or the zone is not known here.
        """
        # cronsim goes through UTC in larger steps.
        is_utc = timetable.timezone == "UTC"
        local = at.astimezone(UTC if is_utc else timezone_of(timetable.timezone))
        try:
            due_times = CronSim(timetable.cron, local)
        except CronSimError as error:
            raise InvalidTrigger(f"{timetable.cron!r} is no cron expression: {error}.") from error
        # At a fold cronsim begins with a time of the first pass, which may be before `at`.
        return (due for each in due_times if (due := each.astimezone(UTC)) > at)

    def latest(self, timetable: Timetable, at: datetime) -> datetime | None:
        """See `Calendar`.

        Raises:
            InvalidTrigger: as of `after`.
        """
        for window in _WINDOWS:
            latest = None
            for due_at in self.after(timetable, at - window):
                if due_at > at:
                    break
                latest = due_at
            if latest is not None:
                return latest
        return None


def timezone_of(name: str) -> ZoneInfo:
    """The zone of that IANA name.

    Raises:
        InvalidTrigger: this machine knows no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidTrigger(
            f"There is no time zone {name!r}: write an IANA name such as Europe/Berlin. (If it is"
            " one, this machine lacks it: install tzdata.)"
        ) from error
