"""Activations: the marks from which a version is in force, the joins that they close, and the
timers that they arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.conclusions import Reason
from eventflow.model.decision import Decision, Verdict
from eventflow.model.state import ActiveVersion
from eventflow.model.timing import arm, disarm
from eventflow.model.turn import Turn

if TYPE_CHECKING:
    from eventflow.model.deployment import Activation, Deployment

__all__ = ["mark"]


def mark(turn: Turn, activation: Activation) -> None:
    """Let a mark take effect, and echo it as a decision.

    A mark of an older version than the one in force, delivered again or late, changes nothing.
    """
    former = _former(turn, activation)
    if former is not None and activation.version < former.version:
        _echo(turn, activation, Verdict.NOT_MATCHED, f"version {former.version} is in force")
    elif activation.is_deleted:
        _delete(turn, activation, former)
    else:
        _activate(turn, activation, former)


def _former(turn: Turn, mark: Activation) -> ActiveVersion | None:
    return turn.state.subscriptions.active(mark.source, mark.namespace, mark.flow)


def _delete(turn: Turn, mark: Activation, former: ActiveVersion | None) -> None:
    if former is not None:
        turn.state.subscriptions.remove(mark.source, mark.namespace, mark.flow)
        turn.conclusions.forget(former)
        _close_join(turn, mark, former)
    if _is_at_home(mark):
        disarm(turn, mark)
    _echo(turn, mark, Verdict.DELETED)


def _activate(turn: Turn, mark: Activation, former: ActiveVersion | None) -> None:
    deployment = turn.deployments(mark.namespace, mark.flow, mark.version)
    if deployment is None:
        message = "The mark refers to a version that `deployments` does not have."
        turn.give_up(Reason.UNKNOWN_DEPLOYMENT, message)
        _echo(turn, mark, Verdict.DEAD_LETTER, message)
        return
    goes_on = former is not None and _has_equal_trigger(turn, mark, deployment)
    since = former.join_since if former is not None and goes_on else mark.version
    active = ActiveVersion(mark.source, mark.namespace, mark.flow, mark.version, since)
    turn.state.subscriptions.put(active, deployment)
    turn.conclusions.keep(active)
    if former is not None and not goes_on:
        _close_join(turn, mark, former)
    if _is_at_home(mark):
        arm(turn, mark, deployment)
    _echo(turn, mark, Verdict.ACTIVATED)


def _has_equal_trigger(turn: Turn, mark: Activation, deployment: Deployment) -> bool:
    former = turn.state.subscriptions.deployment(mark.source, mark.namespace, mark.flow)
    return former is not None and former.trigger == deployment.trigger


def _close_join(turn: Turn, mark: Activation, former: ActiveVersion) -> None:
    if not _is_at_home(mark):
        return
    for event in turn.state.joins.take(mark.namespace, mark.flow):
        turn.close((mark.namespace, mark.flow, former.version), event)


def _is_at_home(mark: Activation) -> bool:
    """Joins and timers follow the mark in the home namespace, not the one in `project/*`."""
    return mark.source == mark.namespace


def _echo(turn: Turn, mark: Activation, verdict: Verdict, reason: str = "") -> None:
    turn.conclusions.decisions.append(
        Decision(
            origin=turn.origin,
            event_name=mark.flow,
            event_id="",
            namespace=mark.namespace,
            flow=mark.flow,
            version=mark.version,
            verdict=verdict,
            reason=reason,
            run_id=None,
            decided_at=turn.now,
        )
    )
