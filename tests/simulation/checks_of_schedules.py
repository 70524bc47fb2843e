"""What has to be so of schedules: each due time once, or accounted for, and none out of its turn.

A second, plain model of timers: it goes through the decisions of a partition in their order, and
knows the times at which the records that they are about were appended. When a due time is fired
by the wall clock cannot be foretold; what it may be, and what comes after it, can.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.plain_calendar import period_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.simulation.evidence import Entry, Evidence, Flow

__all__ = ["CHECKS_OF_SCHEDULES", "SCHEDULE", "is_scheduled"]

SCHEDULE = "schedule"
"""The topic that stands in the place of one where a due time is the origin."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def is_scheduled(request: Mapping[str, Any]) -> bool:
    """Whether a run was requested since it was due."""
    return any(cause["kind"] == SCHEDULE for cause in request["causes"])


@dataclass(slots=True)
class _Timer:
    """A schedule in force; its due times up to `passed_at` are done with."""

    cron: str
    version: int
    passed_at: datetime

    def next_due_at(self) -> datetime:
        period = period_of(self.cron)
        return _UNIX_EPOCH + ((self.passed_at - _UNIX_EPOCH) // period + 1) * period


class _Partition:
    """One partition, decision by decision. `clock`: the latest append time that was decided."""

    def __init__(self, number: int, evidence: Evidence, skipped: Mapping[str, int]) -> None:
        self.evidence, self.skipped, self.number = evidence, skipped, number
        self.entries: dict[int, Entry] = {}
        self.clocks: dict[int, datetime] = {}
        self.end = _UNIX_EPOCH
        for entry in evidence.read("events"):
            if entry.record.partition == number:
                self.end = max(self.end, entry.record.appended_at)
                self.entries[entry.record.offset] = entry
                self.clocks[entry.record.offset] = self.end
        self.timers: dict[Flow, _Timer] = {}
        self.passed: dict[Flow, datetime] = {}
        self.clock = _UNIX_EPOCH
        self.fired_last: tuple[str, datetime] | None = None

    def decided(self, entry: Entry) -> Iterator[str]:
        """What is wrong with the next decision."""
        if entry.value["origin"]["topic"] == SCHEDULE:
            yield from self._fired(entry)
        elif entry.value["origin"]["partition"] == self.number:
            yield from self._about_a_record(entry)

    def ended(self) -> Iterator[str]:
        """What is missing when all is decided."""
        for flow, timer in self.timers.items():
            if timer.next_due_at() <= self.end:
                yield f"{flow} was never started for {timer.next_due_at()}, by {self.end}"

    def _fired(self, entry: Entry) -> Iterator[str]:
        value, flow = entry.value, (entry.value["namespace"], entry.value["flow"])
        due_at = _UNIX_EPOCH + value["origin"]["offset"] * _SECOND
        timer, said = self.timers.get(flow), f"{entry.place}: {flow} for {due_at}"
        if timer is None:
            yield f"{said}, but no schedule is in force"
            return
        first, period = timer.next_due_at(), period_of(timer.cron)
        many, rest = divmod(due_at - first, period)
        skipped = self.skipped.get(value["run_id"])
        if many < 0 or rest:
            yield f"{said}, which is not due after {timer.passed_at} by {timer.cron}"
        elif skipped != many:
            yield f"{said}: {skipped} skipped, but there were {many} since {first}"
        if value["version"] != timer.version or value["verdict"] != "started":
            yield f"{said}: {value['verdict']} by {value['version']}; in force: {timer.version}"
        if value["decided_at"] < due_at:
            yield f"{said}, started too early, at {value['decided_at']}"
        timer.passed_at = self.passed[flow] = max(timer.passed_at, due_at)
        if self.fired_last is None or self.fired_last[1] < due_at:
            self.fired_last = entry.place, due_at

    def _about_a_record(self, entry: Entry) -> Iterator[str]:
        offset = entry.value["origin"]["offset"]
        if offset not in self.entries:
            return
        record, clock = self.entries[offset], self.clocks[offset]
        if clock > self.clock:
            self.clock = clock
            yield from self._missed(entry)
        if record.kind == "Activation":
            yield from self._overtaken(entry, record)
            if record.value["source"] == record.value["namespace"]:
                self._mark(entry.value["verdict"], record.value, clock)

    def _missed(self, entry: Entry) -> Iterator[str]:
        for flow, timer in self.timers.items():
            if timer.next_due_at() <= self.clock:
                yield f"{entry.place} was decided before {flow} for {timer.next_due_at()}"

    def _overtaken(self, entry: Entry, record: Entry) -> Iterator[str]:
        """A mark that stood in the log before a due time came to nothing for it."""
        if self.evidence.history.has_jumps or self.fired_last is None:
            return
        place, due_at = self.fired_last
        if record.record.appended_at < due_at:
            yield f"{place} for {due_at} came before the older mark that {entry.place} is about"

    def _mark(self, verdict: str, mark: Mapping[str, Any], clock: datetime) -> None:
        flow = mark["namespace"], mark["flow"]
        former = self.timers.get(flow)
        if verdict == "deleted":
            self.timers.pop(flow, None)
        elif verdict == "activated":
            self.timers.pop(flow, None)
            schedule = self.evidence.deployments[*flow, mark["version"]]["schedule"]
            if schedule is None:
                return
            passed_at = max(clock, self.passed.get(flow, clock))
            if former is not None and former.cron == schedule["cron"]:
                passed_at = former.passed_at
            self.timers[flow] = _Timer(schedule["cron"], mark["version"], passed_at)


def each_due_time_is_started_once_or_accounted_for(evidence: Evidence) -> Iterator[str]:
    """2. In its turn, by the version in force, and not before its time."""
    for partition in _played(evidence):
        yield from partition


def timers_stand_for_what_is_due_next(evidence: Evidence) -> Iterator[str]:
    """2. `trigger-state` has the timers of the schedules in force, and no others."""
    standing = {each.record.key: each for each in evidence.read("trigger-state")}
    found = {
        (each.value["namespace"], each.value["flow"], each.value["due_at"])
        for each in standing.values()
        if each.kind == "Timer" and each.value["due_at"] is not None
    }
    due: set[tuple[str, str, datetime]] = set()
    for partition in _partitions(evidence):
        for _ in _play(partition, evidence):
            pass
        due.update((*flow, timer.next_due_at()) for flow, timer in partition.timers.items())
    for wrong in sorted(found ^ due):
        yield f"a timer by {'trigger-state' if wrong in found else 'the log'} only: {wrong}"


CHECKS_OF_SCHEDULES: Sequence[Callable[[Evidence], Iterator[str]]] = (
    each_due_time_is_started_once_or_accounted_for,
    timers_stand_for_what_is_due_next,
)


def _played(evidence: Evidence) -> Iterator[Iterator[str]]:
    for partition in _partitions(evidence):
        yield _play(partition, evidence)


def _play(partition: _Partition, evidence: Evidence) -> Iterator[str]:
    for entry in evidence.read("decisions", "Decision"):
        if entry.record.partition == partition.number:
            yield from partition.decided(entry)
    yield from partition.ended()


def _partitions(evidence: Evidence) -> list[_Partition]:
    skipped: dict[str, int] = defaultdict(int)
    for request in evidence.requests:
        if is_scheduled(request.value):
            (cause,) = request.value["causes"]
            skipped[request.value["run_id"]] = json.loads(cause["payload"])["skipped"]
    return [
        _Partition(number, evidence, skipped) for number in range(evidence.history.event_partitions)
    ]
