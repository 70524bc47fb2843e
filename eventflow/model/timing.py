"""Timers as time passes: armed and disarmed by marks, fired when they are due (§5, Timers).

Each due time of a schedule in force is fired once, or named as skipped by the one that is: where
several have passed in one step of time, the latest starts a run. A due time is a UTC time, so a
clock that is put back makes none of them come twice.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from eventflow.model.conclusions import Firing, GivenUp, Reason
from eventflow.model.decision import Verdict
from eventflow.model.firing import request_of
from eventflow.model.occurrence import JSON, Occurrence
from eventflow.model.run import Cause
from eventflow.model.state import Timer
from eventflow.model.timetable import due_origin
from eventflow.model.trigger import Source

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.deployment import Activation, Deployment
    from eventflow.model.turn import Turn

__all__ = ["arm", "disarm", "fire"]

_COUNTED = 10_000


def arm(turn: Turn, mark: Activation, deployment: Deployment) -> None:
    """Set the timer of a version that comes into force at its home, from the time of the
    partition on. One with an equal timetable goes on as it is.

    A timetable that this machine cannot read is a dead letter for the deployment, which is then
    started by everything else that starts it.
    """
    former = turn.state.timers.of(mark.namespace, mark.flow)
    timetable = deployment.schedule
    if former is not None and former.due_at is not None and former.timetable == timetable:
        return
    disarm(turn, mark)
    if timetable is None:
        return
    # A former timer may have fired a little ahead, by the clock of the service.
    passed_at = turn.state.clock if former is None else max(turn.state.clock, former.passed_at)
    try:
        due_at = next(turn.calendar.after(timetable, passed_at), None)
    except Exception as error:  # noqa: BLE001  whatever it is, the partition goes on
        message = f"No timer for {timetable}: {error}"
        letter = GivenUp(Reason.SCHEDULE, message, deployment.key)
        turn.conclusions.dead_letters.append(letter)
        return
    if due_at is not None:
        timer = Timer(mark.namespace, mark.flow, timetable, due_at, passed_at)
        turn.state.timers.put(timer)
        turn.conclusions.keep(timer)


def disarm(turn: Turn, mark: Activation) -> None:
    """Let go of the timer of a deployment, if it has one."""
    timer = turn.state.timers.of(mark.namespace, mark.flow)
    if timer is not None:
        _let_go(turn, timer)


def _let_go(turn: Turn, timer: Timer) -> None:
    """Have a timer fire no more. One that has fired ahead of the records is kept until these
    have come so far: a version that comes meanwhile must not fire for the same time."""
    if timer.passed_at > turn.state.clock:
        spent = replace(timer, due_at=None)
        turn.state.timers.put(spent)
        turn.conclusions.keep(spent)
    else:
        turn.state.timers.remove(timer)
        turn.conclusions.forget(timer)


def fire(turn: Turn, until: datetime) -> None:
    """Fire every timer that is due at `until` or before, by the version in force at its home."""
    for passed in turn.state.timers.passed(turn.state.clock):
        _let_go(turn, passed)
    for first_at, timer in turn.state.timers.due(until):
        latest = turn.calendar.latest(timer.timetable, until)
        fired_at = first_at if latest is None else max(first_at, latest)
        firing = Firing(fired_at, _skipped(turn, timer, first_at, fired_at))
        _start(turn, timer, first_at, firing)
        _set_again(turn, timer, fired_at)


def _skipped(turn: Turn, timer: Timer, first_at: datetime, fired_at: datetime) -> int:
    """How many due times from the timer's to the one that is fired have no run."""
    if first_at == fired_at:
        return 0
    later = islice(turn.calendar.after(timer.timetable, first_at), _COUNTED)
    return 1 + sum(1 for _ in takewhile(lambda due_at: due_at < fired_at, later))


def _set_again(turn: Turn, timer: Timer, fired_at: datetime) -> None:
    again = replace(
        timer,
        due_at=next(turn.calendar.after(timer.timetable, fired_at), None),
        passed_at=fired_at,
    )
    if again.due_at is None:
        _let_go(turn, again)
    else:
        turn.state.timers.put(again)
        turn.conclusions.keep(again)


def _start(turn: Turn, timer: Timer, first_at: datetime, firing: Firing) -> None:
    home = timer.namespace
    active = turn.state.subscriptions.active(home, home, timer.flow)
    assert active is not None  # a deletion takes the timer with it
    version = (home, timer.flow, active.version)
    deployment = turn.state.subscriptions.deployment(home, home, timer.flow)
    cause = _cause(timer, first_at, firing)
    if deployment is None:
        turn.conclude(version, cause, Verdict.NOT_MATCHED, "its version cannot be read")
        return
    request = request_of(turn, deployment, [Occurrence(cause, roots=(), hops=0)], {})
    turn.conclusions.firings.append(firing)
    turn.start(version, cause, request, _skipped_text(first_at, firing))


def _cause(timer: Timer, first_at: datetime, firing: Firing) -> Cause:
    said: dict[str, object] = {
        "cron": timer.timetable.cron,
        "timezone": timer.timetable.timezone,
        "due_at": _text(firing.due_at),
        "skipped": firing.skipped,
    }
    if firing.skipped:
        said["skipped_since"] = _text(first_at)
    return Cause(
        origin=due_origin(firing.due_at),
        kind=Source.SCHEDULE,
        event_id=_text(firing.due_at),
        name=str(timer.timetable),
        namespace=timer.namespace,
        at=firing.due_at,
        payload=json.dumps(said, separators=(",", ":")).encode(),
        content_type=JSON,
    )


def _skipped_text(first_at: datetime, firing: Firing) -> str:
    if not firing.skipped:
        return ""
    many = "more than " if firing.skipped > _COUNTED else ""
    noun = "time was" if firing.skipped == 1 else "times were"
    return f"{many}{firing.skipped} due {noun} skipped before it, from {_text(first_at)} on"


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
