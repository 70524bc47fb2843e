"""Planted faults: each is a way in which eventflow could be wrong, and that the checker must find.

A fault replaces a function of the real code for a block (docs/protocols.md §11). Where and with
which seed it was found stands in `planted_seeds.json`, remade by

    python -m tests.simulation --remake
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.execution import exit_hooks
from eventflow.execution.exit_hooks import hooks_of
from eventflow.model import marking, matching, presence, timing
from eventflow.model.completion import Outcome
from eventflow.model.forward import Forward, Listener
from eventflow.model.matching import pass_time
from eventflow.model.state import Timer
from eventflow.model.timing import disarm
from eventflow.services import custody, ends, runner, slots, trigger_take_over
from eventflow.services.custody import Custody
from eventflow.services.runner import Runner
from eventflow.services.slots import AWAY, Slots
from eventflow.services.trigger import TriggerService
from eventflow.services.trigger_partition import TriggerPartition
from eventflow.store import artifacts, runs
from eventflow.store.deciding import Decided
from eventflow.store.runs import EndFile, mark_successful, place_of, write_end
from tests.simulation import simulated_producer
from tests.simulation.simulated_transactions import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from eventflow.bus.port import Bus, Poll
    from eventflow.execution.exit_hooks import HookDriver
    from eventflow.model.deployment import Activation, Deployment
    from eventflow.model.graph import FlowGraph
    from eventflow.model.log import Record, TopicPartition
    from eventflow.model.run import Cancellation, RunRecord, RunRequest
    from eventflow.model.task import TaskEnd
    from eventflow.model.turn import Turn
    from eventflow.services.slots import Execution
    from eventflow.store.port import Store
    from tests.simulation.simulated_link import Link

__all__ = ["FAULTS", "Fault", "planted"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the real code, and the checks of which at least one complains of it."""

    name: str
    replaces: tuple[tuple[object, str, Any], ...]
    is_seen_by: frozenset[str]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """With that fault, for a block; with none, when the name is empty."""
    with ExitStack() as stack:
        for owner, attribute, faulty in FAULTS[name].replaces if name else ():
            stack.enter_context(_replaced(owner, attribute, faulty))
        yield


@contextmanager
def _replaced(owner: object, attribute: str, faulty: object) -> Iterator[None]:
    right = getattr(owner, attribute)
    setattr(owner, attribute, faulty)
    try:
        yield
    finally:
        setattr(owner, attribute, right)


# -- the trigger service --------------------------------------------------------------------------


def _offset_first(self: TriggerPartition) -> Future[None]:
    """The position in a transaction of its own, before what follows from the records."""
    self._put_blobs()
    first = self.assignment.begin()
    position = self._decided.position
    first.append(self._log.codec.new_record(position, partition=self.partition))
    first.commit({self._log.topics.events: self._decided.next_offset}).result()
    second = self.assignment.begin()
    for _, record in self._staging.records:
        second.append(record)
    return second.commit({})


def _keeps_what_came_back(self: TriggerService, poll: Poll) -> None:
    """A partition that was lost and came back in one poll is gone on with, as if nothing had
    happened meanwhile: its old batch is committed in the generation of now."""
    kept = {
        each.partition: self._deciding[each.partition]
        for each in poll.assigned
        if each.partition in self._deciding
    }
    _change_hands(self, poll)
    for assignment in poll.assigned:
        partition = kept.get(assignment.partition)
        if partition is None:
            continue
        self._taking_over.pop(assignment.partition).close()
        self._deciding[assignment.partition] = partition
        with self._anew_when_failed(partition):
            partition.assignment = assignment
            assignment.acquire()
            read_to = [each.offset + 1 for each in partition._queue]
            position = max(partition._decided.next_offset, *read_to, 0)
            assignment.seek(self._log.topics.events, position)
            partition._is_paused = True


def _to_the_last_stable_offset(
    bus: Bus, partition: TopicPartition, start: int = 0
) -> Iterator[Record]:
    """To the first end that a reader of committed records meets."""
    reader = bus.reader({partition: start})
    try:
        while True:
            poll = reader.poll(_POLL)
            yield from poll.records.get(partition, ())
            if partition in poll.ended:
                return
    finally:
        reader.close()


def _without_init(link: Link, name: str, patience: timedelta) -> Held:
    """An id that somebody has held is written under as it is: nobody is fenced."""
    known = link.cluster.transactions._ids.get(name)
    if known is None or not known.epoch:
        return _take_over(link, name, patience)
    link.ask("bus.init")
    return Held(name, known.epoch, link.writer)


def _by_the_version_at_home(turn: Turn, forward: Forward) -> None:
    """By the version in force where the forward is decided."""
    active = turn.state.subscriptions.active
    listeners = tuple(
        Listener(each.flow, line.version if line else each.version)
        for each in forward.listeners
        for line in [active(forward.home, forward.home, each.flow)]
    )
    _hear_forward(turn, Forward(forward.home, forward.origin, forward.event, listeners))


def _whatever_waits(self: TriggerPartition) -> None:
    """A timer fires by the wall clock, whether or not there is a backlog."""
    if self.timer_due_in == timedelta():
        now, find = self._clock.now(), self._parts.deployments.find
        concluded = pass_time(self._decided.state, now, find, self._parts.calendar)
        self._staging.conclude_timers(concluded)


def _set_in_memory_only(turn: Turn, timer: Timer, fired_at: datetime) -> None:
    """What a timer has fired does not stand in the log."""
    changes = len(turn.conclusions.changes)
    _set_again(turn, timer, fired_at)
    del turn.conclusions.changes[changes:]


def _armed_anew(turn: Turn, mark: Activation, deployment: Deployment) -> None:
    """Each version sets its timer by the clock of the service, also when nothing has changed."""
    disarm(turn, mark)
    if deployment.schedule is not None:
        due_at = next(turn.calendar.after(deployment.schedule, turn.now))
        timer = Timer(mark.namespace, mark.flow, deployment.schedule, due_at, turn.now)
        turn.state.timers.put(timer)
        turn.conclusions.keep(timer)


# -- the runner -----------------------------------------------------------------------------------


def _unfenced(self: Custody) -> Future[None]:
    """A transaction of nobody's: neither epoch nor generation says that a custodian is one."""
    name = f"custodian.{self.parts.effects.ids.token()}"
    transaction = self.parts.bus.writer(name, timeout=_PATIENCE).begin()
    for record in self._records:
        transaction.append(record)
    position = self._staged_position()
    transaction.append(self.parts.codec.new_record(position, partition=self.partition))
    return transaction.commit()


def _knows_nothing(self: Runner, custody: Custody, request: RunRequest) -> bool:
    """Every request is taken for a new one."""
    return False


def _never_disowned(life: object, record: RunRecord, written_at: object) -> bool:
    """What a heartbeat lists is not looked at."""
    return False


def _notice_first(self: Slots, execution: Execution) -> None:
    """The end is told before it is decided, which is left to the release."""
    concluded = execution.concluded
    assert concluded is not None
    execution.end = EndFile(
        execution.record.epoch,
        concluded.outcome,
        concluded.reason,
        concluded.manifest,
        self._effects.clock.now(),
    )


def _end_at_release(self: Slots, run_id: str) -> None:
    execution = self._executions.get(run_id)
    if execution is not None and execution.concluded is not None:
        record, end, now = execution.record, execution.concluded, self._effects.clock.now()
        place, nonce = place_of(record.request), execution.nonce
        write_end(self._store, place, end, epoch=record.epoch, at=now, nonce=nonce)
        if end.outcome is Outcome.SUCCEEDED:
            mark_successful(self._store, record.request)
    _release(self, run_id)


# -- cancellations and exit hooks ------------------------------------------------------------------


def _read_and_forgotten(self: Runner, custody: Custody, asked: Cancellation) -> None:
    """A cancellation counts as read although the store could not be asked."""
    with suppress(*AWAY):
        _cancel(self, custody, asked)


def _known_runs_only(self: Runner, custody: Custody, asked: Cancellation) -> None:
    """What waits is not cancelled: there is nothing to stop."""
    if custody.knows(asked.run_id):
        _cancel(self, custody, asked)


def _has_read_them(self: Custody) -> bool:
    """The reports, as far as anybody knows."""
    return True


def _after_the_requests(self: Runner, custody: Custody) -> None:
    """What waits is begun first."""
    self._accept(custody)
    _read_reports(self, custody)


def _told_and_gone_on(self: Slots, run_id: str, reason: str) -> None:
    """The end is decided beside the execution, which goes on."""


def _told_at_once(self: Slots, execution: Execution, end: EndFile) -> None:
    """The end is told while the hooks are called."""
    execution.decided = execution.end = end


def _called_at_release(self: Slots, run_id: str) -> None:
    """The hooks are called when the end is told, by who told it."""
    execution = self._executions.get(run_id)
    if execution is not None and execution.decided is not None:
        _call_hooks(self, execution)
    _release(self, run_id)


def _cancels_what_it_leaves(self: Slots) -> list[RunRecord]:
    """A runner that leaves, or has lost its lease, ends what it executes."""
    with suppress(*AWAY):
        for execution in self.unfinished():
            self.cancel(execution.record.run_id, "its runner left")
    return _stop_unfinished(self)


def _waits_for_success(self: Slots, execution: Execution, hooks: HookDriver, end: TaskEnd) -> None:
    """A hook that fails is the last thing that is heard of a run."""
    if end.outcome is Outcome.SUCCEEDED:
        _hook_ended(self, execution, hooks, end)


def _owes_nothing(*_: object) -> bool:
    """A run that has its end is not taken over."""
    return False


def _of_any_end(graph: FlowGraph, outcome: Outcome) -> tuple[str, ...]:
    """A cancelled run is not taken for one that did not succeed."""
    is_failed = outcome is Outcome.FAILED
    return hooks_of(graph, Outcome.FAILED if is_failed else Outcome.SUCCEEDED)


# -- the store ------------------------------------------------------------------------------------


def _unconditional(store: Store, key: str, content: dict[str, Any], *, nonce: str) -> Decided:
    """Whoever comes last decides."""
    mine = {"nonce": nonce, **content}
    store.put(key, json.dumps(mine, separators=(",", ":"), sort_keys=True).encode())
    return Decided(is_mine=True, content=mine)


def _refused_is_lost(store: Store, key: str, content: dict[str, Any], *, nonce: str) -> Decided:
    """Who is refused takes the object for another's, whose nonce ever stands there."""
    mine = {"nonce": nonce, **content}
    if not store.put_if_absent(key, json.dumps(mine).encode()):
        raise CorruptObject(f"{key} was written by another")
    return Decided(is_mine=True, content=mine)


_POLL = timedelta(milliseconds=500)
_PATIENCE = timedelta(seconds=10)
_take_over = simulated_producer.take_over
_hear_forward = matching._hear_forward
_change_hands = TriggerService._change_hands
_set_again = timing._set_again
_release = Slots.release
_cancel = Runner._cancel
_read_reports = Runner._read_reports
_hook_ended = Slots._hook_ended
_call_hooks = Slots._call_hooks
_stop_unfinished = Slots.stop_unfinished


def _fault(name: str, *replaces: tuple[object, str, Any], by: str) -> Fault:
    return Fault(name, replaces, frozenset(by.split()))


FAULTS: Mapping[str, Fault] = {
    each.name: each
    for each in (
        _fault(
            "offset-committed-before-the-effect",
            (TriggerPartition, "commit", _offset_first),
            by="every_event_is_decided",
        ),
        _fault(
            "fence-fetched-at-commit",
            (TriggerService, "_change_hands", _keeps_what_came_back),
            by="no_event_is_decided_twice decisions_are_what_the_log_says"
            " each_start_is_requested_once positions_never_go_back",
        ),
        _fault(
            "restore-to-the-last-stable-offset",
            (trigger_take_over, "read_to_end", _to_the_last_stable_offset),
            (custody, "read_to_end", _to_the_last_stable_offset),
            by="no_event_is_decided_twice decisions_are_what_the_log_says"
            " each_start_is_requested_once positions_never_go_back runs_are_accepted_once"
            " epochs_go_up_one_by_one",
        ),
        _fault(
            "no-init-at-take-over",
            (simulated_producer, "take_over", _without_init),
            by="every_event_is_decided no_event_is_decided_twice decisions_are_what_the_log_says"
            " each_start_is_requested_once positions_never_go_back runs_are_accepted_once"
            " epochs_go_up_one_by_one every_requested_run_ends",
        ),
        _fault(
            "end-put-unconditionally",
            (runs, "decide", _unconditional),
            by="objects_are_never_overwritten",
        ),
        _fault(
            "notice-before-end",
            (Slots, "_decide", _notice_first),
            (Slots, "release", _end_at_release),
            by="completions_come_after_the_end",
        ),
        _fault(
            "unfenced-writer-of-runs",
            (Custody, "commit", _unfenced),
            by="runs_are_accepted_once epochs_go_up_one_by_one every_requested_run_ends"
            " completions_come_once positions_never_go_back tasks_start_once",
        ),
        _fault(
            "412-read-as-lost",
            (artifacts, "decide", _refused_is_lost),
            by="tasks_fail_for_a_reason",
        ),
        _fault(
            "accept-without-the-known-id-check",
            (Runner, "_is_known", _knows_nothing),
            by="runs_are_accepted_once",
        ),
        _fault(
            "forward-decided-by-the-version-at-its-home",
            (matching, "_hear_forward", _by_the_version_at_home),
            by="decisions_are_what_the_log_says",
        ),
        _fault(
            "timer-fired-over-a-backlog",
            (TriggerPartition, "pass_time", _whatever_waits),
            by="each_due_time_is_started_once_or_accounted_for",
        ),
        _fault(
            "timer-moved-in-memory-only",
            (timing, "_set_again", _set_in_memory_only),
            by="each_due_time_is_started_once_or_accounted_for timers_stand_for_what_is_due_next",
        ),
        _fault(
            "timer-armed-by-the-wall-clock",
            (marking, "arm", _armed_anew),
            by="each_due_time_is_started_once_or_accounted_for timers_stand_for_what_is_due_next",
        ),
        _fault(
            "take-over-without-the-heartbeats-list",
            (presence, "_is_disowned", _never_disowned),
            by="every_requested_run_ends",
        ),
        _fault(
            "cancellation-forgotten-while-the-store-is-away",
            (Runner, "_cancel", _read_and_forgotten),
            by="cancellations_are_decided_before_they_are_read",
        ),
        _fault(
            "cancellation-of-what-waits-forgotten",
            (Runner, "_cancel", _known_runs_only),
            by="cancellations_are_decided_before_they_are_read",
        ),
        _fault(
            "accept-before-the-reports-are-read",
            (Custody, "has_read_reports", property(_has_read_them)),
            (Runner, "_read_reports", _after_the_requests),
            by="what_was_cancelled_is_not_begun_later",
        ),
        _fault(
            "cancelled-beside-the-execution",
            (Slots, "cancel", _told_and_gone_on),
            by="nothing_starts_where_the_end_was_decided",
        ),
        _fault(
            "completion-before-the-hooks",
            (Slots, "_is_decided", _told_at_once),
            by="hooks_are_called_before_the_completion",
        ),
        _fault(
            "hooks-after-the-completion",
            (Slots, "_is_decided", _told_at_once),
            (Slots, "release", _called_at_release),
            by="hooks_end_with_the_completion",
        ),
        _fault(
            "cancelled-by-its-runner",
            (Slots, "stop_unfinished", _cancels_what_it_leaves),
            by="only_what_was_cancelled_ends_so",
        ),
        _fault(
            "hooks-forgotten-at-take-over",
            (runner, "owes_hooks", _owes_nothing),
            by="hooks_are_called_before_the_completion",
        ),
        _fault(
            "completion-lost-by-a-hook-that-fails",
            (Slots, "_hook_ended", _waits_for_success),
            by="every_requested_run_ends",
        ),
        _fault(
            "hooks-of-another-end",
            *((module, "hooks_of", _of_any_end) for module in (slots, ends, exit_hooks)),
            by="hooks_are_called_before_the_completion hooks_are_those_of_the_end",
        ),
    )
}
