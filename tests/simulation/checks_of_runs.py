"""What has to be so of runs, completions and objects: guarantees 5 to 7 of the design.

Each function is one guarantee, and yields a sentence for each place where it does not hold.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.simulation.evidence import root_of
from tests.simulation.history import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.simulation.evidence import Entry, Evidence
    from tests.simulation.history import TaskRun

__all__ = ["CHECKS_OF_RUNS"]

_ARTIFACTS = "/artifacts.json"
_REASONS = ("UserCodeFailed", "StoreUnreachable", "BusUnreachable")
_FATAL = (Fate.FAILED, Fate.DIED, Fate.KILLED)


def runs_are_accepted_once(evidence: Evidence) -> Iterator[str]:
    """5. Each request becomes one record of epoch 1, and none comes without a request. A run that
    was cancelled while it waited has its end for its only record."""
    for run_id, entries in evidence.records_of_runs.items():
        accepted = [one for one in entries if _is_open(one) and one.value["epoch"] == 1]
        taken = [one for one in accepted if one.value["runner_id"]]
        if run_id not in evidence.requested:
            yield f"run {run_id} was accepted, but never requested"
        if _was_cancelled_waiting(entries):
            continue
        if len(taken) != 1:
            yield f"run {run_id} was accepted {len(taken)} times: {_places(taken)}"


def epochs_go_up_one_by_one(evidence: Evidence) -> Iterator[str]:
    """5. A record follows on the former one: its epoch again, or the next; none after the end."""
    for run_id, entries in evidence.records_of_runs.items():
        for former, entry in pairwise(entries):
            step = entry.value["epoch"] - former.value["epoch"]
            if not _is_open(former):
                yield f"run {run_id} had ended at {former.place}, and goes on at {entry.place}"
            elif step not in (0, 1) or (step == 1 and not _is_open(entry)):
                yield f"run {run_id}: epoch {former.value['epoch']} → {entry.value['epoch']}"
            elif step == 0 and _is_open(entry) and entry.value["runner_id"]:
                yield f"run {run_id}: its epoch {entry.value['epoch']} was given away twice"


def every_requested_run_ends(evidence: Evidence) -> Iterator[str]:
    """5. One terminal record, and one end."""
    for run_id in evidence.requested:
        entries = evidence.records_of_runs.get(run_id, ())
        ended = [one for one in entries if not _is_open(one)]
        if len(ended) > 1:
            yield f"run {run_id} has {len(ended)} terminal records: {_places(ended)}"
        if not ended:
            yield f"run {run_id} never got a terminal record; it has {_places(entries)}"
        if run_id not in evidence.ends:
            yield f"run {run_id} never got an end.json"


def ends_agree(evidence: Evidence) -> Iterator[str]:
    """5, 6. What `runs` and the completion say of a run is what its `end.json` says."""
    for run_id, (_, end) in evidence.ends.items():
        for entry in evidence.records_of_runs.get(run_id, ()):
            if not _is_open(entry) and entry.value["outcome"] != end["outcome"]:
                yield f"{entry.place} says {entry.value['outcome']}, end.json {end['outcome']}"
        for entry in evidence.completions.get(run_id, ()):
            said = entry.value["outcome"], entry.value["epoch"]
            if said != (end["outcome"], end["epoch"]):
                yield f"{entry.place} says {said}, end.json {(end['outcome'], end['epoch'])}"


def completions_come_once(evidence: Evidence) -> Iterator[str]:
    """6. One for each run that ended, and none without a terminal record."""
    for run_id, entries in evidence.completions.items():
        if len(entries) > 1:
            yield f"run {run_id} has {len(entries)} completions: {_places(entries)}"
    for run_id, entries in evidence.records_of_runs.items():
        ended = [one.record.sequence for one in entries if not _is_open(one)]
        told = [one.record.sequence for one in evidence.completions.get(run_id, ())]
        if sorted(ended) != sorted(told):
            yield f"run {run_id} ended in the commits {ended}, its completions are in {told}"


def completions_come_after_the_end(evidence: Evidence) -> Iterator[str]:
    """6. Whoever reads the notice can read the results, and finds the run among the successful."""
    marked = _marked_successful(evidence)
    for run_id, entries in evidence.completions.items():
        for entry in entries:
            end = evidence.ends.get(run_id)
            if end is None or end[0].sequence > entry.record.sequence:
                yield f"{entry.place} came before the end.json of run {run_id}"
            succeeded = entry.value["outcome"] == "succeeded"
            if succeeded and marked.get(run_id, entry.record.sequence) >= entry.record.sequence:
                yield f"{entry.place} came before run {run_id} was among the successful ones"


def only_successful_runs_are_marked_so(evidence: Evidence) -> Iterator[str]:
    """7. `successful/…` has a run after its end says so, never otherwise."""
    for run_id, sequence in _marked_successful(evidence).items():
        end = evidence.ends.get(run_id)
        if end is None or end[1]["outcome"] != "succeeded" or end[0].sequence > sequence:
            yield f"run {run_id} is among the successful ones without such an end"


def objects_are_never_overwritten(evidence: Evidence) -> Iterator[str]:
    """7. A version is written once."""
    for key, puts in evidence.puts.items():
        if len({put.data for put in puts}) > 1:
            writers = [put.writer for put in puts]
            yield f"{key} was overwritten by other bytes; its writers: {writers}"


def manifests_name_what_stands(evidence: Evidence) -> Iterator[str]:
    """7. At the end of a run, all that counts has its artifacts; of a success every step does."""
    for run_id, (put, end) in evidence.ends.items():
        root = put.key.removesuffix("end.json")
        for name, (epoch, step, task, attempt) in end["manifest"].items():
            key = f"{root}e{epoch}/{step}/{task}/{attempt}{_ARTIFACTS}"
            if key not in evidence.puts or evidence.puts[key][0].sequence > put.sequence:
                yield f"the end of run {run_id} counts {name}, which had no artifacts"
        if end["outcome"] == "succeeded":
            missing = _tasks_of(evidence, run_id, root, end) - end["manifest"].keys()
            for name in sorted(missing):
                yield f"run {run_id} succeeded without {name}"


def _tasks_of(evidence: Evidence, run_id: str, root: str, end: Mapping[str, Any]) -> set[str]:
    """The tasks that a run has to have: one a step, and one for each item that a foreach found."""
    steps = evidence.steps_of(run_id)
    tasks = {f"{step['name']}/0" for step in steps}
    for step in steps:
        counted = end["manifest"].get(f"{step['name']}/0")
        if step["kind"] == "foreach" and counted:
            epoch, name, task, attempt = counted
            put = evidence.puts[f"{root}e{epoch}/{name}/{task}/{attempt}{_ARTIFACTS}"][0]
            (item,) = step["next_steps"]
            tasks.discard(f"{item}/0")
            tasks.update(f"{item}/0-{i}" for i in range(json.loads(put.data)["splits"]))
    return tasks


def manifests_are_one_execution(evidence: Evidence) -> Iterator[str]:
    """5. Each attempt that counts has read from attempts that count."""
    for run_id, (put, end) in evidence.ends.items():
        root = put.key.removesuffix("end.json")
        counted = [tuple(each) for each in end["manifest"].values()]
        for epoch, step, task, attempt in counted:
            written = evidence.puts.get(f"{root}e{epoch}/{step}/{task}/{attempt}{_ARTIFACTS}")
            inputs = json.loads(written[0].data)["inputs"] if written else []
            for each in inputs:
                if tuple(each) not in counted:
                    yield f"run {run_id}: {step} of epoch {epoch} has read from {each}"


def runs_fail_for_a_reason(evidence: Evidence) -> Iterator[str]:
    """5. A run whose tasks all went well does not fail."""
    tasks = _tasks_of_runs(evidence)
    for run_id, (_, end) in evidence.ends.items():
        if not end["reason"].startswith("Step "):
            continue
        step = end["reason"].split()[1].partition("/")[0]
        of_step = [each for each in tasks[run_id] if each.step == step]
        if not any(each.fate in _FATAL for each in of_step if each.epoch == end["epoch"]):
            yield f"run {run_id} says {end['reason']!r}, but that task did well"


def tasks_fail_for_a_reason(evidence: Evidence) -> Iterator[str]:
    """5. A task fails of its own code, or because bus or store were away; of nothing else."""
    for task in evidence.history.tasks:
        if task.fate is Fate.FAILED and task.why not in _REASONS:
            yield f"run {task.run_id}: {task.step} of epoch {task.epoch} failed of {task.why}"


def tasks_start_once(evidence: Evidence) -> Iterator[str]:
    """5. One process an attempt, and one runner an epoch."""
    for run_id, tasks in _tasks_of_runs(evidence).items():
        attempts: dict[tuple[object, ...], list[int]] = defaultdict(list)
        runners: dict[int, set[int]] = defaultdict(set)
        for each in tasks:
            if each.fate is not Fate.SILENCED:
                attempts[each.epoch, each.step, each.task, each.attempt].append(each.runner)
            runners[each.epoch].add(each.runner)
        for attempt, started in attempts.items():
            if len(started) > 1:
                yield f"run {run_id}: {attempt} was started {len(started)} times"
        for epoch, pids in runners.items():
            if len(pids) > 1:
                yield f"run {run_id}: epoch {epoch} was executed by {sorted(pids)}"


def tasks_start_after_the_beginning(evidence: Evidence) -> Iterator[str]:
    """5. No user code before its epoch is committed in `runs`, and the run can be found."""
    for task in evidence.history.tasks:
        entries = evidence.records_of_runs.get(task.run_id, ())
        if not any(_gives(each, task) for each in entries):
            yield f"run {task.run_id}: {task.step} began before epoch {task.epoch} was committed"
        run = evidence.requested.get(task.run_id)
        if run is None:
            yield f"run {task.run_id}: {task.step} began, and nobody had requested it"
            continue
        written = evidence.puts.get(f"{root_of(run)}run.json")
        if not written or written[0].sequence > task.sequence:
            yield f"run {task.run_id}: {task.step} began before its run.json stood"


def runs_can_be_found(evidence: Evidence) -> Iterator[str]:
    """7. A run with a run.json was requested, and says the causes of its request."""
    for entry in evidence.requests:
        run_id, causes = entry.value["run_id"], entry.value["causes"]
        written = evidence.puts.get(f"{root_of(evidence.requested[run_id])}run.json")
        if not written or entry.value["causes_digest"] is not None:
            continue
        said = [each["origin"][1:] for each in json.loads(written[0].data)["causes"]]
        due = [[each["origin"][name] for name in _OFFSET] for each in causes]
        if said != due:
            yield f"the run.json of run {run_id} has the causes {said}; due: {due}"


def the_installation_comes_to_rest(evidence: Evidence) -> Iterator[str]:
    """5. When nothing goes wrong any more, all that was begun is ended."""
    if not evidence.history.is_at_rest:
        yield "it never came to rest"


def no_process_goes_astray(evidence: Evidence) -> Iterator[str]:
    """Services raise what their contract says, and nothing else."""
    yield from evidence.history.oddities


CHECKS_OF_RUNS: Sequence[Callable[[Evidence], Iterator[str]]] = (
    runs_are_accepted_once,
    epochs_go_up_one_by_one,
    every_requested_run_ends,
    ends_agree,
    completions_come_once,
    completions_come_after_the_end,
    only_successful_runs_are_marked_so,
    objects_are_never_overwritten,
    manifests_name_what_stands,
    manifests_are_one_execution,
    runs_fail_for_a_reason,
    tasks_fail_for_a_reason,
    tasks_start_once,
    tasks_start_after_the_beginning,
    runs_can_be_found,
    the_installation_comes_to_rest,
    no_process_goes_astray,
)

_OFFSET = ("topic_id", "partition", "offset")


def _is_open(entry: Entry) -> bool:
    return entry.value["outcome"] is None


def _was_cancelled_waiting(entries: Sequence[Entry]) -> bool:
    return [each.value["outcome"] for each in entries] == ["cancelled"]


def _places(entries: Sequence[Entry]) -> str:
    return ", ".join(each.place for each in entries) or "nothing"


def _gives(entry: Entry, task: TaskRun) -> bool:
    """Whether the record gave the epoch of a task to its runner, before the task began."""
    is_before = entry.record.sequence < task.sequence
    return is_before and entry.value["epoch"] == task.epoch and bool(entry.value["runner_id"])


def _tasks_of_runs(evidence: Evidence) -> dict[str, list[TaskRun]]:
    found: dict[str, list[TaskRun]] = defaultdict(list)
    for task in evidence.history.tasks:
        found[task.run_id].append(task)
    return found


def _marked_successful(evidence: Evidence) -> dict[str, int]:
    """When each run was first found among the successful ones."""
    keys = (key for key in evidence.puts if "/successful/" in key)
    return {key.rsplit("-", 1)[1]: evidence.puts[key][0].sequence for key in keys}
