"""The landing area: Parquet files, one a day, in the store that eventflow uses.

    landing/flights/date=2013-01-05.parquet     what happened on that day
    landing/plan/date=2013-01-06.parquet        what is planned for the next

On a laptop that store is a folder, in production a bucket; the code is the same, and a file
never changes once it has landed.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq

from eventflow.context import world


@dataclass(frozen=True)
class Landed:
    """A file that stands: its key, its number of rows, its SHA-256."""

    key: str
    rows: int
    digest: str


def flights_key(day: date | str) -> str:
    return f"landing/flights/date={day}.parquet"


def plan_key(day: date | str) -> str:
    return f"landing/plan/date={day}.parquet"


def land(key: str, table: pa.Table) -> Landed:
    """Put a file, unless it has landed before: then that one stands, and is described."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    store, data = world().store, buffer.getvalue()
    if not store.put_if_absent(key, data):
        data = store.get(key)
    rows = pq.read_metadata(io.BytesIO(data)).num_rows
    return Landed(key, rows, hashlib.sha256(data).hexdigest())


def read(*keys: str) -> pa.Table:
    """The rows of some files, one after another."""
    files = (pq.ParquetFile(io.BytesIO(world().store.get(key))) for key in keys)
    return pa.concat_tables(file.read() for file in files)


def landed_until(key: str) -> list[str]:
    """The keys of all days of flights that have landed, up to the day of `key`."""
    folder = key.rpartition("/")[0] + "/"
    return [each.key for each in world().store.list(folder) if each.key <= key]


def has_landed(key: str) -> bool:
    return world().store.info(key) is not None
