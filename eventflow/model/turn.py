"""One record's turn through the trigger machine: what its parts share, and how they conclude."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.model.conclusions import Conclusions, GivenUp
from eventflow.model.decision import Decision, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.conclusions import Reason, Version
    from eventflow.model.offset import Offset
    from eventflow.model.partition_state import Deployments, PartitionState
    from eventflow.model.run import Cause, RunRequest
    from eventflow.model.state import HeldEvent
    from eventflow.model.timetable import Calendar

__all__ = ["Turn"]

_LONGEST_REASON = 500


@dataclass(slots=True)
class Turn:
    """The record at `origin` is being decided, at `now`; or what is due then."""

    state: PartitionState
    origin: Offset
    now: datetime
    deployments: Deployments
    calendar: Calendar
    conclusions: Conclusions = field(default_factory=Conclusions)

    def conclude(self, version: Version, cause: Cause, verdict: Verdict, reason: str = "") -> None:
        """Decide that of an event for a deployment."""
        self._decide(version, cause, verdict, reason, None)

    def start(self, version: Version, cause: Cause, request: RunRequest, reason: str = "") -> None:
        """Request a run, and say that this event started it."""
        self.conclusions.requests.append(request)
        self._decide(version, cause, Verdict.STARTED, reason, request.run_id)

    def close(self, version: Version, event: HeldEvent) -> None:
        """A held event's join is over."""
        self.conclusions.forget(event)
        self.conclude(version, event.cause, Verdict.CLOSED)

    def give_up(self, reason: Reason, message: str) -> None:
        """The record at hand is a dead letter as a whole."""
        self.conclusions.dead_letters.append(GivenUp(reason, message))

    def give_up_for(self, version: Version, cause: Cause, reason: Reason, message: str) -> None:
        """The record at hand is a dead letter for one deployment."""
        self.conclusions.dead_letters.append(GivenUp(reason, message, version))
        self.conclude(version, cause, Verdict.DEAD_LETTER, message)

    def give_up_held(
        self, version: Version, event: HeldEvent, reason: Reason, message: str
    ) -> None:
        """An event that waited in a join is a dead letter for that deployment."""
        self.conclusions.forget(event)
        self.conclusions.dead_letters.append(GivenUp(reason, message, version, event))
        self.conclude(version, event.cause, Verdict.DEAD_LETTER, message)

    def _decide(
        self, version: Version, cause: Cause, verdict: Verdict, reason: str, run_id: str | None
    ) -> None:
        namespace, flow, number = version
        self.conclusions.decisions.append(
            Decision(
                origin=cause.origin,
                event_name=cause.name,
                event_id=cause.event_id,
                namespace=namespace,
                flow=flow,
                version=number,
                verdict=verdict,
                reason=reason[:_LONGEST_REASON],
                run_id=run_id,
                decided_at=self.now,
            )
        )
