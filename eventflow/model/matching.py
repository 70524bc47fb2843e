"""The trigger machine: what follows from one record of the event log (docs/protocols.md §5).

    handle(state, entry, now, deployments, calendar) -> Conclusions
    pass_time(state, now, deployments, calendar) -> Conclusions

Pure: no I/O, no clock, no chance. Given the same state, records and times it concludes the same,
so that a record that is read again after a crash leads to the same runs under the same ids.

    Event, Completion   in the partition of its namespace: decided here for the deployments whose
                        home this partition is, by the version active for that namespace;
                        forwarded once to each other home. De-duplicated here only.
    Forward             in the partition of the home it names: decided by the versions it names.
    Activation          brings a version into force, or puts it out of force, from here on.

Time passes with the records, by their append times: a timer that is due at T fires before what
follows from the first record appended at T or later. Where all records are decided, the caller
lets it pass by the wall clock. So a backlog is decided as it would have been in its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from eventflow.model.completion import Completion, Outcome
from eventflow.model.conclusions import Reason
from eventflow.model.decision import Verdict
from eventflow.model.deployment import Activation
from eventflow.model.event import EventRecord
from eventflow.model.firing import decide
from eventflow.model.forward import Forward
from eventflow.model.id_window import seen_id_of
from eventflow.model.marking import mark
from eventflow.model.occurrence import completed, happened
from eventflow.model.timetable import due_origin
from eventflow.model.timing import fire
from eventflow.model.trigger import Source
from eventflow.model.turn import Turn

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.conclusions import Conclusions
    from eventflow.model.deployment import Deployment
    from eventflow.model.occurrence import Occurrence
    from eventflow.model.offset import Offset
    from eventflow.model.partition_state import Deployments, PartitionState
    from eventflow.model.subscriptions import Audience
    from eventflow.model.timetable import Calendar

__all__ = ["Body", "Entry", "handle", "pass_time"]

Body: TypeAlias = EventRecord | Completion | Activation | Forward


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the event log. `origin` is where it was first appended, which is another
    place than where it stands when it was re-routed; `appended_at` is when it came to stand here.
    """

    origin: Offset
    body: Body
    appended_at: datetime


def handle(
    state: PartitionState,
    entry: Entry,
    now: datetime,
    deployments: Deployments,
    calendar: Calendar,
) -> Conclusions:
    """What follows from `entry`, the next record of the partition, and, first, from the timers
    that are due when it was appended; `state` moves on.

    `now` stands in the decisions and requests. `deployments` has to know every version whose
    mark is readable; what it and `calendar` raise is all that `handle` raises. What goes wrong
    in the decision for one deployment is a dead letter for that deployment.
    """
    state.clock = max(state.clock, entry.appended_at)
    turn = Turn(state, entry.origin, now, deployments, calendar)
    fire(turn, state.clock)
    match entry.body:
        case EventRecord():
            _hear_event(turn, entry.body)
        case Completion():
            _hear_completion(turn, entry.body)
        case Forward():
            _hear_forward(turn, entry.body)
        case Activation():
            mark(turn, entry.body)
    return turn.conclusions


def pass_time(
    state: PartitionState, now: datetime, deployments: Deployments, calendar: Calendar
) -> Conclusions:
    """What follows from it being `now`, when every record appended before is decided.

    The clock of the partition, by which ids are forgotten, stays that of its records: the wall
    clock of a service may jump.
    """
    turn = Turn(state, due_origin(now), now, deployments, calendar)
    fire(turn, now)
    return turn.conclusions


def _hear_event(turn: Turn, event: EventRecord) -> None:
    audience = turn.state.subscriptions.audience(event.namespace, Source.EVENT, event.name)
    if audience is None:
        return
    occurrence = happened(event, turn.origin)
    if event.id_set and _is_known(turn, event, occurrence, audience):
        return
    for deployment in audience.here:
        _decide_safely(turn, occurrence, deployment)
    turn.conclusions.forwards.extend(
        Forward(home, turn.origin, event, listeners) for home, listeners in audience.elsewhere
    )


def _is_known(turn: Turn, event: EventRecord, occurrence: Occurrence, audience: Audience) -> bool:
    """Whether the id was seen before; remembers it when not."""
    ids = turn.state.ids
    new = seen_id_of(event, turn.state.clock)
    known = ids.find(new.digest, turn.state.clock)
    if known is None:
        ids.add(new)
        turn.conclusions.keep(new)
        for old in ids.shrink(turn.state.clock):
            turn.conclusions.forget(old)
        return False
    is_same = known.payload_digest == new.payload_digest
    if is_same or event.publisher is not None:
        turn.conclusions.id_conflicts += not is_same
        reason = "" if is_same else "known id with another payload: the first counts"
        _conclude_for_all(turn, occurrence, audience, Verdict.DUPLICATE, reason)
    else:
        message = f"The id {event.id!r} came before with another payload."
        turn.give_up(Reason.ID_REUSED, message)
        _conclude_for_all(turn, occurrence, audience, Verdict.DEAD_LETTER, message)
    return True


def _hear_completion(turn: Turn, completion: Completion) -> None:
    audience = turn.state.subscriptions.audience(
        completion.namespace, Source.COMPLETION, completion.flow
    )
    if audience is None:
        return
    occurrence = completed(completion, turn.origin)
    if completion.outcome is not Outcome.SUCCEEDED:
        reason = f"the run {'failed' if completion.outcome is Outcome.FAILED else 'was cancelled'}"
        _conclude_for_all(turn, occurrence, audience, Verdict.NOT_MATCHED, reason)
        return
    for deployment in audience.here:
        _decide_safely(turn, occurrence, deployment)


def _hear_forward(turn: Turn, forward: Forward) -> None:
    occurrence = happened(forward.event, forward.origin)
    for listener in forward.listeners:
        key = (forward.home, listener.flow, listener.version)
        deployment = turn.deployments(*key)
        if deployment is None:
            turn.give_up_for(
                key, occurrence.cause, Reason.UNKNOWN_DEPLOYMENT, "No such version is deployed."
            )
        else:
            _decide_safely(turn, occurrence, deployment)


def _decide_safely(turn: Turn, occurrence: Occurrence, deployment: Deployment) -> None:
    """An exception in the decision for one deployment is a dead letter for that one only.

    `decide` changes nothing before it has concluded, so there is nothing to undo.
    """
    try:
        decide(turn, occurrence, deployment)
    except Exception as error:  # noqa: BLE001  whatever it is, the partition goes on
        message = f"{type(error).__name__}: {error}"
        turn.give_up_for(deployment.key, occurrence.cause, Reason.DECISION_ERROR, message)


def _conclude_for_all(
    turn: Turn, occurrence: Occurrence, audience: Audience, verdict: Verdict, reason: str
) -> None:
    for deployment in audience.everyone:
        turn.conclude(deployment.key, occurrence.cause, verdict, reason)
