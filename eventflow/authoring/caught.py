"""What `@catch(var=…)` leaves in its artifact: the failure that the task went on after."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CaughtFailure"]


@dataclass(frozen=True, slots=True)
class CaughtFailure:
    """The last attempt of a task failed of this. `reason` is one line; `traceback` has several,
    and is empty when its process died; `type` is the name of the exception's class."""

    reason: str
    traceback: str = ""
    type: str = ""

    def __str__(self) -> str:
        return self.reason
