"""The cache that a web site would ask: predictions by day and flight, one SQLite file a branch.

    python prediction_cache.py --branch prod --date 2013-02-01

Every prediction says which run made it: from there `eventflow lineage` leads back to the event.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass

from eventflow.context import world


@dataclass(frozen=True)
class Prediction:
    """Minutes that a flight will be late, and the run of PredictDelays that says so."""

    date: str
    flight: str
    minutes: float
    made_by: str


class PredictionCache:
    """The predictions of one branch, in the state folder. Safe for writers side by side."""

    def __init__(self, branch: str) -> None:
        self._path = world().settings.folder / "predictions" / f"{branch}.db"

    def put(self, date: str, predictions: dict[str, float], *, made_by: str) -> None:
        """The predictions of a day, in place of what was there: all of them or none."""
        rows = [(date, flight, minutes, made_by) for flight, minutes in predictions.items()]
        with self._open() as database, database:
            database.execute("DELETE FROM predictions WHERE date = ?", (date,))
            database.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?)", rows)

    def of(self, date: str) -> list[Prediction]:
        """The predictions of a day, the latest flight first."""
        query = "SELECT * FROM predictions WHERE date = ? ORDER BY minutes DESC, flight"
        with self._open() as database:
            return [Prediction(*row) for row in database.execute(query, (date,))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=30)) as database:
            columns = "date TEXT, flight TEXT, minutes REAL, made_by TEXT, UNIQUE (date, flight)"
            database.execute(f"CREATE TABLE IF NOT EXISTS predictions ({columns})")
            yield database


def main() -> None:
    parser = argparse.ArgumentParser(description="Look predictions up, the latest flight first.")
    parser.add_argument("--branch", default="prod")
    parser.add_argument("--date", required=True)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON document a prediction")
    options = parser.parse_args()
    for each in PredictionCache(options.branch).of(options.date)[: options.limit]:
        line = f"{each.flight}  {each.minutes:+6.1f} min  {each.made_by}"
        print(json.dumps(asdict(each)) if options.json else line)


if __name__ == "__main__":
    main()
