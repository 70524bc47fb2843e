"""How long one call may still wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["Deadline"]


class Deadline:
    """A moment from now, on a clock that never jumps."""

    def __init__(self, patience: timedelta) -> None:
        self._end = time.monotonic() + patience.total_seconds()

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it is over."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._end

    def sooner(self, patience: timedelta) -> Deadline:
        """The end of `patience`, if that comes first; else this."""
        other = Deadline(patience)
        return other if other._end < self._end else self

    def pause(self, seconds: float) -> None:
        """Sleep, but not past the end."""
        time.sleep(min(seconds, self.remaining))
