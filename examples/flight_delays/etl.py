"""The ETL job: lands one day of flights after another, and says so.

    python etl.py --first 2013-01-01 --days 31

Run it twice and nothing happens twice: a file lands once, and an event with the same id is one
event. Killed between a file and its event, the next run of the job publishes the event.
"""

from __future__ import annotations

import argparse
import json
from datetime import date, timedelta

from flights import flights_of, plan_of
from landing import flights_key, land, plan_key

from eventflow import Event


def land_day(day: date) -> dict[str, object]:
    """Land what happened on `day` and the plan of the next; returns what is published."""
    tomorrow = day + timedelta(days=1)
    land(plan_key(tomorrow), plan_of(tomorrow))
    landed = land(flights_key(day), flights_of(day))
    return {"date": str(day), "rows": landed.rows, "key": landed.key, "digest": landed.digest}


def announce(landed: dict[str, object]) -> str:
    """Publish to every branch of the project; the offset, once the event is durable."""
    event = Event(
        "flights_landed",
        payload=landed,
        project="flight_delays",
        id=f"flights-{landed['date']}",
    )
    return str(event.publish().offset)


def main() -> None:
    parser = argparse.ArgumentParser(description="Land flights, day by day.")
    parser.add_argument("--first", type=date.fromisoformat, default=date(2013, 1, 1))
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--json", action="store_true", help="one JSON document a day")
    options = parser.parse_args()
    for number in range(options.days):
        landed = land_day(options.first + timedelta(days=number))
        offset = announce(landed)
        line = f"{landed['date']}  {landed['rows']:>5} flights  {offset}"
        print(json.dumps({**landed, "offset": offset}) if options.json else line, flush=True)


if __name__ == "__main__":
    main()
