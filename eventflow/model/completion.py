"""Completions: the notice that a run ended. An event whose name is the flow's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.offset import Offset

__all__ = ["Completion", "Outcome"]


class Outcome(StrEnum):
    """How a run, or an attempt of a task, ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Completion:
    """One a run, after its results are readable. `reason`: in one line why it did not succeed."""

    namespace: str
    flow: str
    version: int
    run_id: str
    epoch: int
    outcome: Outcome
    reason: str
    requested_at: datetime
    finished_at: datetime
    roots: tuple[Offset, ...] = ()
    hops: int = 0
