"""The tables of `bus.db`. Times are integers of milliseconds; `expires_at` on the boot-time clock.

A record is stored under `position`: its partition's `slot` in the upper bits and its offset in
the lower 40, so that a partition is one contiguous stretch of the table, read and trimmed in
order. A slot is never used again, so a topic that is made anew starts empty.
"""

from __future__ import annotations

__all__ = ["OFFSET_BITS", "TABLES", "VERSION"]

VERSION = 1
OFFSET_BITS = 40

TABLES = (
    """CREATE TABLE topics (
        name TEXT PRIMARY KEY,
        topic_id TEXT NOT NULL,
        cleanup TEXT NOT NULL,
        retention INTEGER,
        max_record_bytes INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE partitions (
        slot INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        low INTEGER NOT NULL DEFAULT 0,
        high INTEGER NOT NULL DEFAULT 0,
        appended_at INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, partition)
    )""",
    """CREATE TABLE records (
        position INTEGER PRIMARY KEY,
        key BLOB,
        value BLOB,
        headers TEXT,
        appended_at INTEGER NOT NULL
    )""",
    # Of compacted topics: where the last record of a key is, and what may be deleted when.
    """CREATE TABLE latest (
        slot INTEGER NOT NULL,
        key BLOB NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (slot, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE garbage (
        due_at INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (due_at, position)
    ) WITHOUT ROWID""",
    """CREATE TABLE writers (
        transactional_id TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE consumer_groups (
        name TEXT PRIMARY KEY,
        generation INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE members (
        consumer_group TEXT NOT NULL,
        member INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (consumer_group, member)
    ) WITHOUT ROWID""",
    """CREATE TABLE claims (
        consumer_group TEXT NOT NULL,
        partition INTEGER NOT NULL,
        member INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        PRIMARY KEY (consumer_group, partition)
    ) WITHOUT ROWID""",
    """CREATE TABLE positions (
        consumer_group TEXT NOT NULL,
        slot INTEGER NOT NULL,
        next_offset INTEGER NOT NULL,
        PRIMARY KEY (consumer_group, slot)
    ) WITHOUT ROWID""",
    "CREATE TABLE waiters (folder TEXT NOT NULL)",
)
