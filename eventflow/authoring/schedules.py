"""What `@schedule` says, read into a timetable, with every mistake named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventflow.calendars import CronCalendar
from eventflow.errors import InvalidTrigger
from eventflow.model.timetable import Timetable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.authoring.trigger_declarations import Declaration

__all__ = ["read_schedule"]

_PERIODS = {"weekly": "0 0 * * SUN", "hourly": "0 * * * *", "daily": "0 0 * * *"}
"""In the order in which they count; `cron=` counts before all."""

_FIELDS = "minute, hour, day of the month, month, day of the week"
_DAY, _WEEKDAY, _YEAR = 2, 4, 5
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def read_schedule(
    declaration: Declaration, required: Mapping[str, bool]
) -> tuple[list[str], Timetable | None]:
    """The mistakes, and the timetable when there are none. `required`: parameter → whether it
    is, which nobody could give a scheduled run."""
    options = declaration.options if isinstance(declaration.options, Mapping) else {}
    mistakes = list(_type_mistakes(declaration.one, options))
    cron = None
    if not mistakes:
        cron, mistake = _cron(declaration.one, options)
        mistakes += [mistake] if mistake else []
    mistakes += [
        f"@schedule: parameter {name!r} is required and a schedule gives it no value: give it a"
        " default."
        for name, is_required in required.items()
        if is_required
    ]
    if cron is None:
        return mistakes, None
    timetable = Timetable(cron, str(options.get("timezone") or "UTC"))
    mistakes += _due_mistakes(timetable)
    return mistakes, None if mistakes else timetable


def _type_mistakes(cron: object, options: Mapping[str, object]) -> Iterator[str]:
    for name, value in (("cron", cron), ("timezone", options.get("timezone"))):
        if value is not None and not isinstance(value, str):
            yield f"@schedule: {name} is {value!r}: write it as a string."
    for name in _PERIODS:
        if not isinstance(options.get(name), bool):
            yield f"@schedule: {name} is {options.get(name)!r}: write True or False."


def _cron(said: object, options: Mapping[str, object]) -> tuple[str | None, str]:
    """The expression with five fields, or what is wrong."""
    if said is not None:
        return _five_fields(str(said))
    period = next((name for name in _PERIODS if options[name]), None)
    if period is None:
        return None, "@schedule says no time: give cron=, weekly=, daily= or hourly=."
    return _PERIODS[period], ""


def _five_fields(cron: str) -> tuple[str | None, str]:
    """Six fields are those of AWS: the last one is a year, and `?` a day that is not said."""
    fields, said = cron.split(), f"@schedule: cron={cron!r}"
    if "(" in cron:
        return None, f"{said}: write its fields only, without what stands around them."
    if len(fields) not in (_YEAR, _YEAR + 1):
        return None, f"{said} has {len(fields)} fields, five are expected: {_FIELDS}."
    mistake = _mistake_of_six(fields) if len(fields) > _YEAR else ""
    if mistake:
        return None, f"{said} {mistake}"
    for place in (_DAY, _WEEKDAY):
        fields[place] = "*" if fields[place] == "?" else fields[place]
    return " ".join(fields[:_YEAR]), ""


def _mistake_of_six(fields: Sequence[str]) -> str:
    if "?" not in (fields[_DAY], fields[_WEEKDAY]):
        return (
            "has six fields and no '?' among its days, so the first may be meant as seconds: write"
            f" five: {_FIELDS}."
        )
    if fields[_YEAR] != "*":
        return f"ends with a year, which a schedule cannot have: write five fields: {_FIELDS}."
    if any(letter.isdigit() for letter in fields[_WEEKDAY].partition("#")[0]):
        return (
            "counts the days of the week, which begin with SUN in some systems and with MON in"
            " others: write their names, SUN to SAT."
        )
    return ""


def _due_mistakes(timetable: Timetable) -> Iterator[str]:
    try:
        if next(CronCalendar().after(timetable, _SOME_DAY), None) is None:
            yield f"@schedule: cron={timetable.cron!r} is never due."
    except InvalidTrigger as error:
        yield f"@schedule: {error}"
