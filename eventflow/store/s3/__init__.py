"""The store in a bucket of S3, or of any server that speaks S3 with conditional writes.

store       S3Store: the contract
connection  the client and its threads, from settings
answers     what a request that failed means, in eventflow's errors
rehearsal   requests that go nowhere
parallel    requests side by side
buckets     objects of any bucket, as files: what the S3 data tool is made of
"""

from __future__ import annotations

from eventflow.store.s3.store import S3Store

__all__ = ["S3Store"]
