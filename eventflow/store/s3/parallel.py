"""Requests side by side, few at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["THREADS", "in_order", "in_parallel"]

T = TypeVar("T")

THREADS = 16


def in_parallel(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]]) -> list[T]:
    """The results in order."""
    return [*in_order(pool, calls)]


def in_order(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """The results in order; few calls are made ahead. None runs any more when it ends, by an
    error too, or when it is given up."""
    pending: deque[Future[T]] = deque()
    try:
        for call in calls:
            if len(pending) >= THREADS:
                yield pending.popleft().result()
            pending.append(pool.submit(call))
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        wait(pending)
