"""What has to be so of cancellations and of exit hooks: docs/protocols.md §6.3 and §6.7.

Each function is one guarantee, and yields a sentence for each place where it does not hold. That a
cancelled run has one end and one completion, as any other, is among the checks of runs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.evidence import root_of
from tests.simulation.history import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.simulation.evidence import Entry, Evidence
    from tests.simulation.history import TaskRun

__all__ = ["CHECKS_OF_ENDS"]

_HOOK = "exit-hook"
_RETURNED = (Fate.DONE, Fate.FAILED, Fate.DIED)
_AWAY = ("StoreUnreachable", "BusUnreachable")
_HOPELESS = 5
_SOON = 4
"""Heartbeats: at each the end of a run is looked for."""


def only_what_was_cancelled_ends_so(evidence: Evidence) -> Iterator[str]:
    """5. No run ends as cancelled before somebody has asked for it."""
    asked: dict[str, int] = {}
    for entry in _cancellations(evidence):
        asked.setdefault(entry.value["run_id"], entry.record.sequence)
    for run_id, (put, end) in evidence.ends.items():
        if end["outcome"] == "cancelled" and asked.get(run_id, put.sequence) >= put.sequence:
            yield f"run {run_id} was cancelled at {put.sequence}, and nobody had asked for it"


def cancellations_are_decided_before_they_are_read(evidence: Evidence) -> Iterator[str]:
    """5. When a cancellation counts as read, its run has an end: that one, or one it had."""
    for entry in _cancellations(evidence):
        run_id, read = entry.value["run_id"], _read_at(evidence, entry)
        end = evidence.ends.get(run_id)
        if read is None:
            yield f"the cancellation at {entry.place} was never read"
        elif run_id in evidence.requested and (end is None or end[0].sequence > read):
            yield f"the cancellation at {entry.place} counts as read, and run {run_id} goes on"


def what_was_cancelled_is_not_begun_later(evidence: Evidence) -> Iterator[str]:
    """5. A runner that comes after a cancellation was acknowledged accepts nothing of it."""
    came = _first_heartbeats(evidence)
    for cancelled in evidence.history.cancelled:
        for entry in evidence.records_of_runs.get(cancelled.run_id, ()):
            writer = entry.record.writer
            is_begun = entry.value["outcome"] is None and entry.value["epoch"] == 1
            if is_begun and came.get(writer, 0) > cancelled.sequence:
                yield f"run {cancelled.run_id} was cancelled, then accepted at {entry.place}"


def nothing_starts_where_the_end_was_decided(evidence: Evidence) -> Iterator[str]:
    """5. The runner that has decided the end of a run starts no step of it any more."""
    for task in evidence.history.tasks:
        if task.step == _HOOK or task.run_id not in evidence.ends:
            continue
        put, end = evidence.ends[task.run_id]
        if put.writer == task.runner and task.sequence > put.sequence:
            yield f"run {task.run_id} was {end['outcome']}, and then {task.step} began"


def what_has_ended_is_let_go(evidence: Evidence) -> Iterator[str]:
    """5. Who executes a run that another has ended stops it soon, when it can ask the store."""
    if evidence.history.has_outages:
        return
    listed: dict[tuple[int, str], set[object]] = defaultdict(set)
    for entry in evidence.read("runners", "Heartbeat"):
        for working in entry.value["working"]:
            run_id, sent_at = working["run_id"], entry.value["sent_at"]
            told = evidence.completions.get(run_id, ())
            if told and told[0].record.sequence < entry.record.sequence:
                listed[entry.record.writer, run_id].add(sent_at)
    for (runner, run_id), heartbeats in listed.items():
        if len(heartbeats) > _SOON and not _names(evidence, run_id):
            yield f"run {run_id} had ended, and {len(heartbeats)} heartbeats of {runner} list it"


def hooks_are_called_before_the_completion(evidence: Evidence) -> Iterator[str]:
    """6. Each exit hook of the outcome of a run that had begun was called to its end, whether it
    did well or not, before the end is told. A run that is hopeless calls none."""
    called = _hooks_of_runs(evidence)
    for run_id, entries in evidence.completions.items():
        if run_id not in evidence.ends or not _has_begun(evidence, run_id):
            continue
        names, told = _names(evidence, run_id), entries[0].record.sequence
        for number, name in enumerate(names):
            if not any(
                each.task == str(number)
                and each.until < told
                and _has_returned(evidence, each, name)
                for each in called[run_id]
            ):
                yield f"{entries[0].place} came before {name} of run {run_id} was called"


def hooks_are_those_of_the_end(evidence: Evidence) -> Iterator[str]:
    """6. An exit hook is called when the end stands, and it is one of the outcome."""
    for run_id, hooks in _hooks_of_runs(evidence).items():
        names, end = _names(evidence, run_id), evidence.ends.get(run_id)
        for each in hooks:
            if end is None or end[0].sequence > each.sequence:
                yield f"run {run_id}: an exit hook began before the end stood"
            elif each.hook and (int(each.task), each.hook) not in enumerate(names):
                yield f"run {run_id} was {end[1]['outcome']}, and {each.hook} was called"


def hooks_end_with_the_completion(evidence: Evidence) -> Iterator[str]:
    """6. Who has told the end of a run calls no hook of it any more."""
    for run_id, hooks in _hooks_of_runs(evidence).items():
        for entry in evidence.completions.get(run_id, ()):
            for each in hooks:
                is_late = each.sequence > entry.record.sequence
                if is_late and each.runner == entry.record.writer:
                    yield f"run {run_id}: {each.hook} began after {entry.place}"


CHECKS_OF_ENDS: Sequence[Callable[[Evidence], Iterator[str]]] = (
    only_what_was_cancelled_ends_so,
    cancellations_are_decided_before_they_are_read,
    what_was_cancelled_is_not_begun_later,
    nothing_starts_where_the_end_was_decided,
    what_has_ended_is_let_go,
    hooks_are_called_before_the_completion,
    hooks_are_those_of_the_end,
    hooks_end_with_the_completion,
)


def _cancellations(evidence: Evidence) -> Sequence[Entry]:
    found = evidence.read("run-reports", "Cancellation")
    return sorted(found, key=lambda each: each.record.sequence)


def _read_at(evidence: Evidence, entry: Entry) -> int | None:
    """The commit that says first that a report was read."""
    for position in evidence.read("runs", "RunPosition"):
        is_there = position.record.partition == entry.record.partition
        if is_there and position.value["next_report"] > entry.record.offset:
            return position.record.sequence
    return None


def _first_heartbeats(evidence: Evidence) -> Mapping[int, int]:
    """When each runner process was first heard of: it restores no partition before."""
    found: dict[int, int] = {}
    for entry in evidence.read("runners"):
        found.setdefault(entry.record.writer, entry.record.sequence)
    return found


def _hooks_of_runs(evidence: Evidence) -> Mapping[str, Sequence[TaskRun]]:
    found: dict[str, list[TaskRun]] = defaultdict(list)
    for task in evidence.history.tasks:
        if task.step == _HOOK:
            found[task.run_id].append(task)
    return found


def _names(evidence: Evidence, run_id: str) -> Sequence[str]:
    """The hooks that are due after the end of a run, in their order."""
    hooks = evidence.graph_of(run_id).get("exit_hooks")
    if hooks is None or run_id not in evidence.ends:
        return ()
    succeeded = evidence.ends[run_id][1]["outcome"] == "succeeded"
    names: Sequence[str] = hooks["on_success" if succeeded else "on_error"]
    return names


def _has_begun(evidence: Evidence, run_id: str) -> bool:
    """Whether it was accepted, and its take-overs are not so many that it was given up."""
    records = [each.value for each in evidence.records_of_runs.get(run_id, ())]
    was_accepted = any(each["outcome"] is None for each in records)
    return was_accepted and all(each["stalled_take_overs"] < _HOPELESS for each in records)


def _has_returned(evidence: Evidence, task: TaskRun, name: str) -> bool:
    """Whether it came to its own end: also when its process died, or found the store away, before
    it could call the function. That is a hook that has failed. One that is killed when it has
    returned already has left its artifacts."""
    root = root_of(evidence.requested[task.run_id])
    left = f"{root}e{task.epoch}/{task.step}/{task.task}/{task.attempt}/artifacts.json"
    could_not = not task.hook and (task.fate is Fate.DIED or task.why in _AWAY)
    has_ended = task.fate in _RETURNED or left in evidence.puts
    return has_ended and (task.hook == name or could_not)
