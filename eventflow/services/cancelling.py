"""Cancelling: the end of a run before its time, wherever it is executed.

The custodian of a run decides that it is cancelled, by `end.json`. When the run is executed by
another runner, that one looks for the end now and then, and stops (docs/protocols.md §6.7).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from eventflow.execution.reuse import take_up
from eventflow.model.completion import Outcome
from eventflow.model.run import RunRecord
from eventflow.model.schedule import Schedule
from eventflow.model.task import RunEnd
from eventflow.services.ends import decide_end, end_of, end_to_publish, owes_hooks
from eventflow.services.slots import AWAY
from eventflow.store.causes import causes_of
from eventflow.store.runs import RunFile, mark_successful, place_of, write_beginning

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.model.deployment import Deployment
    from eventflow.model.run import RunRequest
    from eventflow.services.runner_parts import RunnerParts
    from eventflow.store.runs import EndFile

__all__ = ["Cancelling"]


class Cancelling:
    """What a runner needs to cancel runs. It writes to the store only; the caller publishes."""

    def __init__(self, parts: RunnerParts) -> None:
        self._parts, self._store, self._slots = parts, parts.store, parts.slots
        self._effects, self._every = parts.log.effects, parts.settings.heartbeat
        self._look_at = self._effects.clock.elapsed() + self._every

    def end(self, record: RunRecord, reason: str) -> EndFile | None:
        """The end of an accepted run: cancelled, unless another stands. Its tasks here are stopped.

        What its tasks have finished counts. None when exit hooks come first: who executes the run,
        or takes it over, calls them and tells its end. When the store is away, nothing is decided:
        call it again.
        """
        execution = self._slots.cancel(record.run_id, reason)
        if execution is not None:
            return execution.end
        end = self._end_elsewhere(record, reason)
        deployment = self._deployment(record.request)
        return None if owes_hooks(self._store, record, deployment, end) else end

    def unstarted(self, request: RunRequest, reason: str) -> tuple[RunRecord, EndFile] | None:
        """The record and the end of a run that ends without a start.

        It calls no exit hooks. None when nothing is known of its version: then the request becomes
        a dead letter.
        """
        deployment = self._deployment(request)
        if deployment is None:
            return None
        runner_id, now = self._parts.presence.runner_id, self._effects.clock.now()
        record = RunRecord(request.run_id, 1, runner_id, request, accepted_at=now)
        return record, self._end_elsewhere(record, reason)

    def look(self, may_have_ended: Callable[[str], bool]) -> None:
        """Once a heartbeat: stop what is executed here and was ended by another custodian.

        `may_have_ended` says of a run whether that is possible: then its end is looked for.
        """
        if self._effects.clock.elapsed() < self._look_at:
            return
        self._look_at = self._effects.clock.elapsed() + self._every
        with suppress(*AWAY):  # asked again, at the latest when the run ends here
            for execution in self._slots.unfinished():
                if execution.decided is not None or not may_have_ended(execution.record.run_id):
                    continue
                end = end_of(self._store, execution.request, self._effects)
                if end is not None:
                    self._slots.adopt(execution, end)

    def _end_elsewhere(self, record: RunRecord, reason: str) -> EndFile:
        """On return the run can be found."""
        end = end_to_publish(self._store, record.request, self._effects)
        if end is not None:
            return end
        deployment = self._deployment(record.request)
        if deployment is not None:  # who executes it may not have come so far
            run = RunFile(record.request, deployment.graph, deployment.code.digest)
            write_beginning(self._store, run, causes_of(self._store, record.request))
        nonce, concluded = self._effects.ids.token(), self._concluded(record.request, reason)
        end = decide_end(self._store, record, concluded, self._effects, nonce=nonce)
        if end.outcome is Outcome.SUCCEEDED:  # its runner was faster by a moment
            mark_successful(self._store, record.request)
        return end

    def _concluded(self, request: RunRequest, reason: str) -> RunEnd:
        deployment = self._deployment(request)
        if deployment is None:
            return RunEnd(Outcome.CANCELLED, reason, {})
        schedule = Schedule.begin(deployment.graph)
        take_up(schedule, self._store, place_of(request))
        return schedule.ended(Outcome.CANCELLED, reason)

    def _deployment(self, request: RunRequest) -> Deployment | None:
        return self._parts.deployments.find(request.namespace, request.flow, request.version)
