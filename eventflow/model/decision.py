"""Decisions: what the trigger service concluded about one record for one deployment, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.offset import Offset

__all__ = ["Decision", "Verdict"]


class Verdict(StrEnum):
    """What became of an event, or of a mark, for a deployment."""

    STARTED = "started"
    HELD = "held"
    NOT_MATCHED = "not matched"
    DUPLICATE = "duplicate"
    CLOSED = "closed by redeploy"
    DEAD_LETTER = "dead letter"
    ACTIVATED = "activated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Decision:
    """`origin` is the offset of the original record, whatever partition decided it.

    `decided_at` is the `now` that the decision was made with (docs/protocols.md §5).
    """

    origin: Offset
    event_name: str
    event_id: str
    namespace: str
    flow: str
    version: int
    verdict: Verdict
    reason: str
    run_id: str | None
    decided_at: datetime
