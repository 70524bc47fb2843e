"""What has to be so of publishes, decisions and requests: guarantees 1 to 4, 8 and 9 of the design.

Each function is one guarantee, and yields a sentence for each place where it does not hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.simulation.checks_of_schedules import SCHEDULE, is_scheduled
from tests.simulation.evidence import place_of
from tests.simulation.plain_matching import Conclusion, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.simulation.evidence import Entry, Evidence, Place
    from tests.simulation.plain_matching import Expected

__all__ = ["CHECKS_OF_STARTS"]


def acknowledged_events_stand(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """1. What was acknowledged stands where its acknowledgement says."""
    events = {(each.record.partition, each.record.offset): each for each in evidence.read("events")}
    for publish in evidence.history.published:
        place = publish.offset.partition, publish.offset.offset
        found = events.get(place)
        value = found.value if found else {}
        if (value.get("namespace"), value.get("id")) != (publish.namespace, publish.id):
            yield f"the event {publish.id} was acknowledged, but does not stand at {place}"


def every_event_is_decided(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """9. Each event has a decision for each deployment that was active at its offset."""
    found = {_subject(each) for each in _decisions(evidence)}
    for each in expected.conclusions():
        if _subject(each) not in found:
            yield f"nothing was decided about {each}"


def no_event_is_decided_twice(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. Each decision stands once."""
    due = expected.conclusions()
    for each, count in Counter(_decisions(evidence)).items():
        if count > max(1, due[each]):
            yield f"decided {count} times: {each}"


def decisions_are_what_the_log_says(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. By the version in force at the event's offset, with the verdict that follows."""
    due = expected.conclusions()
    for each in dict.fromkeys(_decisions(evidence)):
        if each not in due:
            others = [one for one in due if _subject(one) == _subject(each)]
            yield f"decided: {each}; due: {others or 'nothing'}"


def decisions_follow_the_log(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """3. Within a partition, decisions stand in the order of the records that they are about."""
    for partition, entries in sorted(_by_partition(evidence.read("decisions", "Decision")).items()):
        due = {each: at for at, step in enumerate(expected.steps[partition]) for each in step}
        last = -1
        for entry in entries:
            at = due.get(_conclusion(entry.value), last)
            if at < last:
                yield f"{entry.place} is about a record before that of the decision before it"
            last = max(at, last)


def each_start_is_requested_once(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. Neither twice nor not at all."""
    due = Counter(each.run_id for each in expected.started)
    found = Counter(
        each.value["run_id"] for each in evidence.requests if not is_scheduled(each.value)
    )
    for run_id, count in found.items():
        if count > due[run_id]:
            yield f"run {run_id} was requested {count} times; due: {due[run_id]}"
    for each in expected.started:
        if not found[each.run_id]:
            yield f"never requested: {each}"


def requests_say_what_caused_them(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. The right version, the exact causes in their order, and the runs before it."""
    due = {each.run_id: each for each in expected.started}
    for entry in evidence.requests:
        found = _started(entry.value)
        if found.run_id in due and found != due[found.run_id]:
            yield f"requested: {found}; due: {due[found.run_id]}"


def requests_agree_with_decisions(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. Each request has the decision that made it, and each such decision its request."""
    requested = Counter(each.value["run_id"] for each in evidence.requests)
    decisions = (each.value for each in evidence.read("decisions", "Decision"))
    decided = Counter(each["run_id"] for each in decisions if each["verdict"] == "started")
    for run_id in sorted(requested.keys() | decided.keys()):
        if requested[run_id] != decided[run_id]:
            yield f"run {run_id}: {requested[run_id]} requests, {decided[run_id]} decisions"


def forwards_are_made_once(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. One an event and home, naming the versions in force at the event's offset."""
    found = Counter(
        (
            each.value["home"],
            place_of(each.value["origin"]),
            frozenset((one["flow"], one["version"]) for one in each.value["listeners"]),
        )
        for each in evidence.read("events", "Forward")
    )
    for forward in found - expected.forwards:
        yield f"forwarded {found[forward]} times, due {expected.forwards[forward]}: {forward}"
    for forward in expected.forwards - found:
        yield f"never forwarded: {forward}"


def joins_consume_each_event_once(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """4. No event is a cause of two runs of one deployment."""
    consumed: dict[tuple[str, str, Place], list[str]] = defaultdict(list)
    for entry in evidence.requests:
        started = _started(entry.value)
        for cause in started.causes:
            consumed[started.namespace, started.flow, cause].append(started.run_id)
    for (namespace, flow, cause), runs in consumed.items():
        if len(set(runs)) > 1:
            yield f"{cause} began {len(set(runs))} runs of {namespace}/{flow}: {runs}"


def held_events_stay_held(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """4. What no firing has consumed stands in `trigger-state`, and nothing else does."""
    values = _last_values(evidence, "trigger-state")
    held = {
        (each.value["namespace"], each.value["flow"], place_of(each.value["cause"]["origin"]))
        for each in values.values()
        if each.kind == "HeldEvent"
    }
    for gone in sorted(expected.held - held):
        yield f"held no longer, and consumed by nothing: {gone}"
    for left in sorted(held - expected.held):
        yield f"held still, though it was consumed or closed: {left}"


def versions_in_force_are_known(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """2. `trigger-state` names the versions that the marks brought into force."""
    active = {
        tuple(each.value[name] for name in ("source", "namespace", "flow", "version"))
        for each in _last_values(evidence, "trigger-state").values()
        if each.kind == "ActiveVersion"
    }
    for wrong in sorted(active ^ expected.active):
        yield f"in force by {'trigger-state' if wrong in active else 'the marks'} only: {wrong}"


def positions_never_go_back(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """9. Neither in `trigger-state` nor in `runs`."""
    for topic, kind, fields in (
        ("trigger-state", "TriggerPosition", ("next_offset",)),
        ("runs", "RunPosition", ("next_request", "next_report")),
    ):
        for entries in _by_partition(evidence.read(topic, kind)).values():
            for former, entry in pairwise(entries):
                for name in fields:
                    if entry.value[name] < former.value[name]:
                        yield f"{entry.place}: {name} went back to {entry.value[name]}"


def only_hopeless_records_are_given_up(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """9. Dead letters are what cannot be handled, each once for each deployment, and all of it."""
    found = Counter(_origin_of_letter(each) for each in evidence.read("dead-letters"))
    due = Counter({("events", *each[1:]): many for each, many in expected.dead_letters.items()})
    for place, count in (found - due).items():
        yield f"{place} was given up {count} times too often"
    for place, count in (due - found).items():
        yield f"{place} should have been given up {count} times more"


def namespaces_start_nothing_in_others(evidence: Evidence, expected: Expected) -> Iterator[str]:
    """8. An event starts runs in its own namespace, or, published to all, in its project's."""
    for entry in evidence.requests:
        namespace = entry.value["namespace"]
        heard = {namespace, f"{namespace.partition('/')[0]}/*"}
        for cause in entry.value["causes"]:
            if cause["namespace"] not in heard:
                yield f"{cause['name']} of {cause['namespace']} began a run in {namespace}"


CHECKS_OF_STARTS: Sequence[Callable[[Evidence, Expected], Iterator[str]]] = (
    acknowledged_events_stand,
    every_event_is_decided,
    no_event_is_decided_twice,
    decisions_are_what_the_log_says,
    decisions_follow_the_log,
    each_start_is_requested_once,
    requests_say_what_caused_them,
    requests_agree_with_decisions,
    forwards_are_made_once,
    joins_consume_each_event_once,
    held_events_stay_held,
    versions_in_force_are_known,
    positions_never_go_back,
    only_hopeless_records_are_given_up,
    namespaces_start_nothing_in_others,
)


def _decisions(evidence: Evidence) -> list[Conclusion]:
    """Those about records; of due times nothing can be foretold from the log alone."""
    return [
        _conclusion(each.value)
        for each in evidence.read("decisions", "Decision")
        if each.value["origin"]["topic"] != SCHEDULE
    ]


def _conclusion(value: Mapping[str, Any]) -> Conclusion:
    return Conclusion(
        place_of(value["origin"]),
        value["namespace"],
        value["flow"],
        value["version"],
        value["verdict"],
    )


def _subject(conclusion: Conclusion) -> tuple[object, ...]:
    """What it is about. That a held event's join was closed, or fired without it, comes later."""
    return *conclusion[:3], conclusion.verdict in ("closed by redeploy", "dead letter")


def _started(value: Mapping[str, Any]) -> Started:
    causes = tuple(place_of(each["origin"]) for each in value["causes"])
    return Started(
        value["run_id"], value["namespace"], value["flow"], value["version"], causes, value["hops"]
    )


def _by_partition(entries: Sequence[Entry]) -> Mapping[int, Sequence[Entry]]:
    found: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.record.partition].append(entry)
    return found


def _last_values(evidence: Evidence, topic: str) -> Mapping[tuple[int, bytes | None], Entry]:
    """What stands under each key; a tombstone is an entry without a kind."""
    return {(each.record.partition, each.record.key): each for each in evidence.read(topic)}


def _origin_of_letter(entry: Entry) -> tuple[str, int, int]:
    headers = dict(reversed(entry.record.headers))  # the first of a name counts
    topic = headers["ef_origin_topic"].decode().rpartition(".")[2]
    return topic, int(headers["ef_origin_partition"]), int(headers["ef_origin_offset"])
