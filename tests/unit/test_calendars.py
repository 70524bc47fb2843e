"""Due times: what cron says, by the clocks of a time zone, as UTC times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventflow.calendars import CronCalendar
from eventflow.errors import InvalidTrigger
from eventflow.model.timetable import Timetable, due_origin

CALENDAR = CronCalendar()
BERLIN = "Europe/Berlin"
PUT_FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 2:00 becomes 3:00
PUT_BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)  # 3:00 becomes 2:00
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def due(cron: str, zone: str, first: datetime, last: datetime) -> list[str]:
    """The due times in (first, last], without the year."""
    times = CALENDAR.after(Timetable(cron, zone), first)
    return [f"{each:%m-%d %H:%M}" for each in takewhile(lambda at: at <= last, times)]


def test_a_zone_has_its_own_midnight() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    assert due("0 0 * * *", BERLIN, start, start + DAY) == ["01-01 23:00"]
    assert due("0 0 * * *", "UTC", start, start + DAY) == ["01-02 00:00"]


def test_a_time_that_does_not_exist_is_due_after_the_gap() -> None:
    days = due("30 2 * * *", BERLIN, PUT_FORWARD - DAY, PUT_FORWARD + DAY)

    assert days == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]


def test_a_time_that_comes_twice_is_due_once() -> None:
    days = due("30 2 * * *", BERLIN, PUT_BACK - DAY, PUT_BACK + DAY + HOUR)

    assert days == ["10-25 00:30", "10-26 01:30"]


def test_asked_between_its_two_passes_a_time_is_not_due_again() -> None:
    days = due("30 2 * * *", BERLIN, PUT_BACK + timedelta(minutes=10), PUT_BACK + DAY + HOUR)

    assert days == ["10-26 01:30"]


def test_every_quarter_of_an_hour_goes_by_elapsed_time() -> None:
    back = due("*/15 * * * *", BERLIN, PUT_BACK - HOUR, PUT_BACK + HOUR)
    forward = due("*/15 * * * *", BERLIN, PUT_FORWARD - HOUR, PUT_FORWARD + HOUR)

    assert len(back) == len(forward) == 8


CRONS = ("* * * * *", "*/7 1-3 * * *", "30 2 * * *", "0 0 * * MON", "15 2,3 29 * *", "0 5 29 2 *")


@settings(max_examples=60)
@given(
    st.sampled_from(CRONS),
    st.sampled_from((BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe")),
    st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: PUT_BACK - minutes * MINUTE),
)
def test_due_times_do_not_depend_on_where_one_begins(cron: str, zone: str, at: datetime) -> None:
    timetable = Timetable(cron, zone)
    times = list(islice(CALENDAR.after(timetable, at), 8))

    assert all(former < later for former, later in pairwise(times))
    assert at < times[0]
    for number, each in enumerate(times[:-1]):
        assert next(CALENDAR.after(timetable, each)) == times[number + 1]
        assert CALENDAR.latest(timetable, each) == each
        assert CALENDAR.latest(timetable, times[number + 1] - timedelta(seconds=1)) == each


def test_before_the_first_day_of_a_rare_date_the_last_one_was_years_ago() -> None:
    rare = Timetable("0 0 29 2 *", "UTC")

    assert CALENDAR.latest(rare, datetime(2027, 1, 1, tzinfo=UTC)) == datetime(
        2024, 2, 29, tzinfo=UTC
    )


@pytest.mark.parametrize(("cron", "zone"), [("61 * * * *", "UTC"), ("* * * * *", "Mars/Base")])
def test_what_no_calendar_can_read_is_named(cron: str, zone: str) -> None:
    with pytest.raises(InvalidTrigger, match=r"61|Mars/Base"):
        CALENDAR.after(Timetable(cron, zone), PUT_BACK)


def test_equal_due_times_are_one_cause_whatever_the_zone() -> None:
    other = PUT_BACK.astimezone(tz=None)

    assert due_origin(PUT_BACK) == due_origin(other)
    assert str(due_origin(PUT_BACK)) == f"schedule/0/{int(PUT_BACK.timestamp())}"
