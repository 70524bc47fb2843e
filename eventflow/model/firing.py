"""The decision about one event for one deployment: start, hold, or neither (docs/protocols.md §5).

Everything that can go wrong is computed before anything is changed or concluded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.conclusions import Reason
from eventflow.model.decision import Verdict
from eventflow.model.joins import by_age
from eventflow.model.occurrence import held_again
from eventflow.model.offset import merge_roots
from eventflow.model.parameters import Misfit, defaults, map_parameters
from eventflow.model.run import RunRequest, run_id_of
from eventflow.model.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.model.deployment import Deployment
    from eventflow.model.occurrence import Occurrence
    from eventflow.model.state import HeldEvent

__all__ = ["decide", "request_of"]


def decide(turn: Turn, occurrence: Occurrence, deployment: Deployment) -> None:
    """Decide by this version of the deployment, which is the one in force at the event's offset."""
    trigger = deployment.trigger
    if trigger is None:
        turn.conclude(deployment.key, occurrence.cause, Verdict.NOT_MATCHED, "it has no trigger")
        return
    if trigger.is_join and not _has_open_join(turn, deployment):
        turn.conclude(deployment.key, occurrence.cause, Verdict.CLOSED)
        return
    mapped = map_parameters(deployment, occurrence)
    if isinstance(mapped, Misfit):
        _turn_away(turn, occurrence, deployment, mapped)
    elif trigger.is_join:
        _join(turn, occurrence, deployment)
    else:
        request = request_of(turn, deployment, (occurrence,), mapped)
        turn.start(deployment.key, occurrence.cause, request)


def _has_open_join(turn: Turn, deployment: Deployment) -> bool:
    """Whether the join of this version is still the one that its home keeps."""
    home = deployment.namespace
    line = turn.state.subscriptions.active(home, home, deployment.flow)
    return line is not None and line.join_since <= deployment.version


def _turn_away(turn: Turn, occurrence: Occurrence, deployment: Deployment, misfit: Misfit) -> None:
    if misfit.verdict is Verdict.DEAD_LETTER:
        turn.give_up_for(deployment.key, occurrence.cause, Reason.PARAMETER, misfit.reason)
    else:
        turn.conclude(deployment.key, occurrence.cause, misfit.verdict, misfit.reason)


def _join(turn: Turn, occurrence: Occurrence, deployment: Deployment) -> None:
    joins, trigger = turn.state.joins, deployment.trigger
    assert trigger is not None
    key = deployment.namespace, deployment.flow
    new = occurrence.held_by(*key)
    if not joins.lacks_only(new.cause.name, *key, trigger):
        _hold(turn, deployment, new)
        return
    together = sorted((*joins.waiting(*key), new), key=by_age)
    mapped, misfits = _from_latest(deployment, together)
    if len(mapped) < len(trigger.subscriptions):
        _drop(turn, deployment, misfits)
        _hold(turn, deployment, new)
    else:
        gone = {event.cause.origin for event, _ in misfits}
        parts = [held_again(each) for each in together if each.cause.origin not in gone]
        parameters = {name: text for each in mapped.values() for name, text in each.items()}
        request = request_of(turn, deployment, parts, parameters)
        _drop(turn, deployment, misfits)
        for event in joins.take(*key):
            turn.conclusions.forget(event)
        turn.start(deployment.key, new.cause, request)


def _from_latest(
    deployment: Deployment, together: Sequence[HeldEvent]
) -> tuple[dict[str, dict[str, str]], list[tuple[HeldEvent, Misfit]]]:
    """The parameters that the latest event of each name gives, by that name.

    Besides, the later events that do not fit: a redeploy may have changed the type of a
    parameter while they waited.
    """
    mapped: dict[str, dict[str, str]] = {}
    misfits = []
    for event in reversed(together):
        if event.cause.name not in mapped:
            found = map_parameters(deployment, held_again(event))
            if isinstance(found, Misfit):
                misfits.append((event, found))
            else:
                mapped[event.cause.name] = found
    return mapped, misfits


def _drop(turn: Turn, deployment: Deployment, misfits: Sequence[tuple[HeldEvent, Misfit]]) -> None:
    for event, misfit in misfits:
        turn.state.joins.let_go(event)
        if misfit.verdict is Verdict.DEAD_LETTER:
            turn.give_up_held(deployment.key, event, Reason.PARAMETER, misfit.reason)
        else:
            turn.conclusions.forget(event)
            turn.conclude(deployment.key, event.cause, misfit.verdict, misfit.reason)


def _hold(turn: Turn, deployment: Deployment, new: HeldEvent) -> None:
    turn.state.joins.hold(new)
    turn.conclusions.keep(new)
    turn.conclude(deployment.key, new.cause, Verdict.HELD)
    for old in turn.state.joins.shrink(new.namespace, new.flow):
        turn.give_up_held(
            deployment.key, old, Reason.JOIN_FULL, "The join holds as many events as it may."
        )


def request_of(
    turn: Turn, deployment: Deployment, parts: Sequence[Occurrence], parameters: dict[str, str]
) -> RunRequest:
    """The request of the run that `parts` start together; other parameters have their defaults."""
    causes = tuple(part.cause for part in parts)
    origins = [cause.origin for cause in causes]
    return RunRequest(
        run_id=run_id_of(deployment.namespace, deployment.flow, origins),
        namespace=deployment.namespace,
        flow=deployment.flow,
        version=deployment.version,
        parameters=defaults(deployment) | parameters,
        causes=causes,
        causes_digest=None,
        roots=merge_roots(root for part in parts for root in part.roots),
        hops=max(part.hops for part in parts) + 1,
        requested_at=turn.now,
        tags=deployment.tags,
        system_tags=deployment.system_tags,
    )
