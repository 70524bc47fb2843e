"""The same task of a long linear flow, with its artifacts on an S3 server on loopback.

The ceiling is plain boto3 with one connection: as many puts, of the same bytes, to the same
server, one after the other, in turns with the runs.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, times_ms
from benchmarks.line import STEPS, lines
from benchmarks.place import exported, s3_settings, temporary_folder
from eventflow.settings import Settings
from tests.servers.finding import found_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["measure"]


def measure(*, runs: int) -> Iterator[Figure]:
    """The time between the ends of two tasks, over all of so many runs but their first task.

    Raises:
        ServerMissing: there is no S3 server to be had.
    """
    ours: list[float] = []
    bare: list[float] = []
    with ExitStack() as stack:
        server, folder = stack.enter_context(found_s3()), stack.enter_context(temporary_folder())
        stack.enter_context(exported(s3_settings(server)))
        line = stack.enter_context(lines(folder, Settings(home=folder / "state")))
        bucket = line.world.store.url.removeprefix("s3://")
        for number in range(1, runs + 1):
            ours += line.run(number)
            bare += _puts(server.client(), bucket, line.left(number))
        count = len(line.left(1)) // STEPS
    name = f"a task of a linear flow of {STEPS} steps"
    peer = f"boto3: as many puts ({count})"
    yield Figure("task_on_s3", "S3, loopback", name, times_ms(ours), peer, times_ms(bare))


def _puts(client: S3Client, bucket: str, objects: list[bytes]) -> list[float]:
    """Seconds of each of STEPS equal shares of the puts."""
    folder, share = f"bare-{secrets.token_hex(8)}", len(objects) // STEPS
    client.list_objects_v2(Bucket=bucket, MaxKeys=1)  # the connection stands
    taken = []
    for first in range(0, STEPS * share, share):
        at = time.monotonic()
        for number, body in enumerate(objects[first : first + share], start=first):
            client.put_object(Bucket=bucket, Key=f"{folder}/{number}", Body=body)
        taken.append(time.monotonic() - at)
    return taken
