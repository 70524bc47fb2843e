"""What the trigger machine concludes of one record: what has to be written, all or nothing.

The service that called the machine writes these in one transaction with its position. Until
that has committed, none of it is true (docs/protocols.md §3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.decision import Decision
    from eventflow.model.forward import Forward
    from eventflow.model.run import RunRequest

__all__ = ["Change", "Conclusions", "Firing", "GivenUp", "Reason", "StateRecord", "Version"]

StateRecord: TypeAlias = ActiveVersion | HeldEvent | SeenId | Timer


class Reason(StrEnum):
    """Why the trigger service gave a record up to `dead-letters`."""

    ID_REUSED = "id-reused"
    PARAMETER = "parameter"
    JOIN_FULL = "join-full"
    UNKNOWN_DEPLOYMENT = "unknown-deployment"
    DECISION_ERROR = "decision-error"
    UNEXPECTED_RECORD = "unexpected-record"
    KEY_CONTRADICTS_BODY = "key-contradicts-body"
    TOO_LARGE = "too-large"
    GAP = "gap"
    SCHEDULE = "schedule"


Version: TypeAlias = tuple[str, str, int]
"""(home namespace, flow, version): `Deployment.key`."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The record could not be handled, as a whole or for one deployment: it is a dead letter.

    `held` is the event meant when that is not the record at hand, but one that waited in a join.
    """

    reason: Reason
    message: str
    deployment: Version | None = None
    held: HeldEvent | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A record of `trigger-state` to write, or with `is_forgotten` the one to tombstone."""

    record: StateRecord
    is_forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Firing:
    """A due time whose run is requested, and how many before it were skipped for it."""

    due_at: datetime
    skipped: int


@dataclass(slots=True)
class Conclusions:
    """Everything that follows from one record, or from the time alone. `changes` are in order: a
    later one of the same key wins. `firings` are the due times among what started the requests.
    `id_conflicts` counts known ids that came with another payload from a task."""

    decisions: list[Decision] = field(default_factory=list)
    requests: list[RunRequest] = field(default_factory=list)
    firings: list[Firing] = field(default_factory=list)
    forwards: list[Forward] = field(default_factory=list)
    dead_letters: list[GivenUp] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    id_conflicts: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be written besides the position."""
        return not (
            self.decisions or self.requests or self.forwards or self.dead_letters or self.changes
        )

    def keep(self, record: StateRecord) -> None:
        """The record has to stand in `trigger-state`."""
        self.changes.append(Change(record))

    def forget(self, record: StateRecord) -> None:
        """The record must not stand there any more."""
        self.changes.append(Change(record, is_forgotten=True))
