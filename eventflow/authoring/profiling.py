"""`profile`: how long a block took."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

__all__ = ["profile"]


@contextmanager
def profile(label: str, stats_dict: MutableMapping[str, int] | None = None) -> Iterator[None]:
    """Measure a block, also one that fails: print the milliseconds that it took, or add them to
    `stats_dict[label]`."""
    began = monotonic()
    try:
        yield
    finally:
        took = int((monotonic() - began) * 1000)
        if stats_dict is None:
            print(f"{label} took {took} ms")  # noqa: T201 - what it is for
        else:
            stats_dict[label] = stats_dict.get(label, 0) + took
