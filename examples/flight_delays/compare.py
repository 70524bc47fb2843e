"""Compares what two branches predicted with what happened: mean absolute error by week.

    python compare.py --first 2013-01-02 --days 30 prod test.new_model

It reads the caches and what has landed, as anybody could.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta

from delay_model import errors
from landing import flights_key, read
from prediction_cache import PredictionCache


def errors_of(branch: str, day: date) -> list[float]:
    """Minutes that each prediction of a branch for a day was off."""
    predictions = {each.flight: each.minutes for each in PredictionCache(branch).of(str(day))}
    if not predictions:
        raise SystemExit(f"{branch} has published no predictions for {day}.")
    return errors(predictions, read(flights_key(day)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Mean absolute error, in minutes, by week.")
    parser.add_argument("branches", nargs="+")
    parser.add_argument("--first", type=date.fromisoformat, required=True)
    parser.add_argument("--days", type=int, required=True)
    options = parser.parse_args()
    days = [options.first + timedelta(days=number) for number in range(options.days)]
    _print_row("minutes off, on average", options.branches)
    for week in (days[start : start + 7] for start in range(0, len(days), 7)):
        _print_means(f"{week[0]:%d %b} to {week[-1]:%d %b}", options.branches, week)
    _print_means("all", options.branches, days)


def _print_means(label: str, branches: list[str], days: list[date]) -> None:
    off = [[each for day in days for each in errors_of(branch, day)] for branch in branches]
    _print_row(label, [f"{sum(each) / len(each):.2f}" for each in off])


def _print_row(label: str, cells: list[str]) -> None:
    print(f"{label:24}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
