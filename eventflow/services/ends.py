"""The one end of a run, read and decided for its runner, also where it cannot be read.

An `end.json` is never overwritten. One that is no `end.json` would keep its run open for ever, and
everybody who meets it would fail of it; so it counts as a failed end, which says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject
from eventflow.execution.exit_hooks import hooks_of, hooks_owed
from eventflow.model.completion import Outcome
from eventflow.model.task import RunEnd
from eventflow.store.runs import EndFile, mark_successful, place_of, read_end, write_end

if TYPE_CHECKING:
    from eventflow.effects import Effects
    from eventflow.model.deployment import Deployment
    from eventflow.model.run import RunRecord, RunRequest
    from eventflow.store.port import Store

__all__ = ["decide_end", "end_of", "end_to_publish", "fail", "owes_hooks"]

_BY_NOBODY = 0


def end_of(store: Store, request: RunRequest, effects: Effects) -> EndFile | None:
    """How a run ended; None while it has not."""
    try:
        return read_end(store, place_of(request))
    except CorruptObject as error:
        return _unreadable(error, effects)


def end_to_publish(store: Store, request: RunRequest, effects: Effects) -> EndFile | None:
    """As `end_of`; a run that succeeded can be found among the successful ones on return.

    Whoever decided the end may have died before it marked the run (docs/protocols.md §6.4).
    """
    end = end_of(store, request, effects)
    if end is not None and end.outcome is Outcome.SUCCEEDED:
        mark_successful(store, request)
    return end


def owes_hooks(
    store: Store, record: RunRecord, deployment: Deployment | None, end: EndFile
) -> bool:
    """Whether a run whose end stands has exit hooks that have not returned: they come before its
    end is published, so that none is forgotten when whoever called them dies."""
    if deployment is None or not hooks_of(deployment.graph, end.outcome):
        return False
    owed = hooks_owed(store, record.request, deployment.graph, end.outcome, record.epoch)
    return bool(owed)


def decide_end(
    store: Store, record: RunRecord, end: RunEnd, effects: Effects, *, nonce: str
) -> EndFile:
    """Decide how a run ended; what stands, which may be another writer's end."""
    place, at = place_of(record.request), effects.clock.now()
    try:
        return write_end(store, place, end, epoch=record.epoch, at=at, nonce=nonce)
    except CorruptObject as error:
        return _unreadable(error, effects)


def fail(store: Store, record: RunRecord, reason: str, effects: Effects) -> EndFile:
    """Decide that a run has failed without a task that did; what stands."""
    end = RunEnd(Outcome.FAILED, reason, {})
    return decide_end(store, record, end, effects, nonce=effects.ids.token())


def _unreadable(error: CorruptObject, effects: Effects) -> EndFile:
    reason = f"its end.json cannot be read: {error}"
    return EndFile(_BY_NOBODY, Outcome.FAILED, reason, {}, effects.clock.now())
