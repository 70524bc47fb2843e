"""The embedded bus: the log of one machine in one SQLite file, shared by its processes.

`bus.db` in the state folder holds topics, records, consumer groups and transactional ids. What
`publish` and `commit` have answered is fsynced. Differences to Kafka, on purpose
(docs/protocols.md §9): a transaction is buffered and applied in one short write, so none hangs
open in the log; each skips an offset where Kafka has its marker; ownership moves partition by
partition, without stopping the members that keep theirs.

    bus ─┬─ consumer ─┬─ groups        who owns which partition
         ├─ reader ───┼─ feed          records from where each partition is read
         ├─ publish   ├─ transactions  buffered, fenced
         │            └─ wakers        how a waiting poll learns that there is something
         └─ log, catalogue, housekeeping ── database ── schema
"""

from eventflow.bus.sqlite.bus import SqliteBus

__all__ = ["SqliteBus"]
