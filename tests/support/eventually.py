"""Waiting for something to become true, without a sleep in any test.

Guarantees: returns as soon as the condition holds (asked every 10 ms at first, every 250 ms
later), and fails with what was seen last, so that a timed-out test says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25


def eventually(
    condition: Callable[[], T], timeout: float = 20.0, message: str = "condition not met"
) -> T:
    """The first truthy answer of `condition`, asked until `timeout` seconds are over.

    An exception counts as "not yet"; the last one becomes the cause of the AssertionError.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        error: Exception | None = None
        seen = "nothing"
        try:
            if value := condition():
                return value
            seen = repr(value)
        except Exception as caught:  # noqa: BLE001  whatever it is, it may be gone the next time
            error, seen = caught, f"{type(caught).__name__}: {caught}"
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message} within {timeout:g} s; seen last: {seen}") from error
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
