"""What a run comes to on S3 without eventflow: as many puts of the same size, with plain boto3."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import boto3

from benchmarks.place import Place

__all__ = ["put_runs"]


def put_runs(place: Place, runs: int, sizes: Sequence[int]) -> list[float]:
    """When each of so many runs was put, by the monotonic clock, in order.

    A run is an object of each size, put one after the other; as many runs go side by side as
    there are cores, each in a connection of its own.
    """
    lanes = os.cpu_count() or 1
    with ThreadPoolExecutor(lanes) as threads:
        parts = [threads.submit(_put, place.env, runs // lanes, sizes) for _ in range(lanes)]
        return sorted(at for part in parts for at in part.result())


def _put(env: dict[str, str], runs: int, sizes: Sequence[int]) -> list[float]:
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=env["EVENTFLOW_STORE__ENDPOINT_URL"],
        region_name=env["EVENTFLOW_STORE__REGION"],
    )
    bucket, folder = env["EVENTFLOW_STORE__URL"].removeprefix("s3://"), secrets.token_hex(8)
    ended = []
    for run in range(runs):
        for number, size in enumerate(sizes):
            key = f"bare-{folder}/{run}/{number}"
            client.put_object(Bucket=bucket, Key=key, Body=b"x" * size)
        ended.append(time.monotonic())
    return ended
