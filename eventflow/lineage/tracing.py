"""Following traces, up and down, into trees."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from eventflow.context import world
from eventflow.errors import ArtifactMissing
from eventflow.lineage.node import Lineage, Node, NodeKind
from eventflow.lineage.target import ArtifactTarget, OffsetTarget, RunTarget, find_target
from eventflow.lineage.traces import Traces
from eventflow.model.trigger import Source
from eventflow.store.layout import RunPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventflow.lineage.target import Target
    from eventflow.lineage.traces import RunTrace
    from eventflow.model.offset import Offset
    from eventflow.model.run import Cause
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.port import Store

__all__ = ["downstream", "lineage_of", "upstream"]

_DEPTH = 10
_NODE_KINDS = {
    Source.EVENT: NodeKind.EVENT,
    Source.COMPLETION: NodeKind.COMPLETION,
    Source.SCHEDULE: NodeKind.SCHEDULE,
}


def lineage_of(
    target: str, store: Store | None = None, *, within: str | None = None, depth: int = _DEPTH
) -> Lineage:
    """What led to `target`, and what came of it: see `upstream` and `downstream`."""
    store = store or world().store
    found, traces = find_target(target, store, within), Traces(store)
    return Lineage(_Upward(traces, depth).of(found), _Downward(traces, depth).of(found))


def upstream(
    target: str, store: Store | None = None, *, within: str | None = None, depth: int = _DEPTH
) -> Node:
    """What led to `target`: of an artifact its run, of a run the events and completions that
    started it, of those the run that published them, and so on over `depth` runs.

    `target` is `topic/partition/offset`, `Flow/run` or `Flow/run/step/task/artifact`, looked for
    in the namespace or project `within`. The store is that of the settings unless one is given.
    What published an event is known when the event started a run.

    Raises:
        InvalidName: `target` has another shape.
        NotFound: there is no such run or artifact. (A record that started nothing is alone.)
        Ambiguous: several runs have such an id.
    """
    store = store or world().store
    return _Upward(Traces(store), depth).of(find_target(target, store, within))


def downstream(
    target: str, store: Store | None = None, *, within: str | None = None, depth: int = _DEPTH
) -> Node:
    """What came of `target`: of an event or a completion the runs that it started, of a run its
    results (the artifacts of its step `end`), the events of its tasks and its completion, and so
    on over `depth` runs. Which run read an artifact is not recorded: of an artifact it is what
    its run started.

    Parameters and errors are those of `upstream`.
    """
    store = store or world().store
    return _Downward(Traces(store), depth).of(find_target(target, store, within))


class _Upward:
    """Follows causes; each run once."""

    def __init__(self, traces: Traces, depth: int) -> None:
        self._traces, self._depth = traces, depth
        self._seen: set[RunPlace] = set()

    def of(self, target: Target) -> Node:
        match target:
            case OffsetTarget(topic, partition, offset):
                started = self._traces.started_by(topic, partition, offset)
                cause = _cause_at(started, target)
                return self._cause(cause, self._depth) if cause else _lone(target)
            case RunTarget(place):
                return self._run(self._traces.known_run(place), self._depth)
            case ArtifactTarget(place):
                run = self._run(self._traces.known_run(place), self._depth)
                return replace(_artifact_node(self._traces, target), children=(run,))

    def _run(self, run: RunTrace, depth: int) -> Node:
        node = _run_node(run)
        if run.place in self._seen or depth <= 0:
            return replace(node, has_more=bool(run.causes))
        self._seen.add(run.place)
        causes = tuple([self._cause(cause, depth - 1) for cause in run.causes])
        return replace(node, children=causes)

    def _cause(self, cause: Cause, depth: int) -> Node:
        node = _cause_node(cause)
        if cause.run_id is None:
            return node
        run = self._traces.run(RunPlace(cause.run_namespace, cause.flow, cause.run_id))
        return replace(node, children=(self._run(run, depth),))


class _Downward:
    """Follows what was started; each run once."""

    def __init__(self, traces: Traces, depth: int) -> None:
        self._traces, self._depth = traces, depth
        self._seen: set[RunPlace] = set()

    def of(self, target: Target) -> Node:
        match target:
            case OffsetTarget(topic, partition, offset):
                started = self._traces.started_by(topic, partition, offset)
                cause = _cause_at(started, target)
                node = _cause_node(cause) if cause else _lone(target)
                return replace(node, children=self._runs(started, self._depth))
            case RunTarget(place):
                return self._run(self._traces.known_run(place), self._depth)
            case ArtifactTarget(place):
                run = self._traces.known_run(place)
                led_to = tuple(self._led_to(run, (), self._depth))
                return replace(_artifact_node(self._traces, target), children=led_to)

    def _runs(self, runs: Iterable[RunTrace], depth: int) -> tuple[Node, ...]:
        return tuple([self._run(run, depth) for run in runs])

    def _run(self, run: RunTrace, depth: int) -> Node:
        node = _run_node(run)
        if run.place in self._seen:
            return replace(node, has_more=True)
        self._seen.add(run.place)
        records = self._traces.tasks(run)
        results = tuple(_results(run, records))
        if depth <= 0:
            return replace(node, children=results, has_more=self._traces.leads_on(run.place))
        published = [offset for record in records for offset in record.published]
        return replace(node, children=(*results, *self._led_to(run, published, depth - 1)))

    def _led_to(self, run: RunTrace, published: Iterable[Offset], depth: int) -> Iterator[Node]:
        """The events and the completion of a run, in the order of the log, with what each
        started; of `published` also those that started nothing."""
        started: dict[Offset, list[RunTrace]] = {offset: [] for offset in published}
        causes: dict[Offset, Cause] = {}
        for other in self._traces.downstream_of(run.place):
            for cause in other.causes:
                if cause.run_id == run.place.run_id:
                    causes[cause.origin] = cause
                    started.setdefault(cause.origin, []).append(other)
        for origin in sorted(started):
            cause_node = _cause_node(causes[origin]) if origin in causes else _lone(origin)
            yield replace(cause_node, children=self._runs(started[origin], depth))


def _cause_at(runs: Iterable[RunTrace], target: OffsetTarget) -> Cause | None:
    """The record at an offset, as a run that it started knows it."""
    causes = (cause for run in runs for cause in run.causes)
    return next((cause for cause in causes if str(cause.origin) == str(target)), None)


def _lone(origin: object) -> Node:
    """A record of which the store knows the place only."""
    return Node(NodeKind.EVENT, str(origin))


def _cause_node(cause: Cause) -> Node:
    return Node(_NODE_KINDS[cause.kind], str(cause.origin), cause.name, cause.at)


def _run_node(run: RunTrace) -> Node:
    outcome = run.end.outcome.value if run.end else ""
    return Node(NodeKind.RUN, _path(run.place), outcome, run.requested_at)


def _artifact_node(traces: Traces, target: ArtifactTarget) -> Node:
    record = traces.task(target.place, target.step, target.task)
    if target.name not in record.artifacts:
        there = ", ".join(sorted(record.artifacts)) or "none"
        raise ArtifactMissing(
            f"{_path(target.place)}/{target.step}/{target.task} has no artifact {target.name!r};"
            f" it has: {there}."
        )
    return _artifact(target.place, record, target.name)


def _results(run: RunTrace, records: Iterable[TaskRecord]) -> Iterator[Node]:
    for record in records:
        if record.key.step == run.last_step:
            names = sorted(name for name in record.artifacts if not name.startswith("_"))
            yield from (_artifact(run.place, record, name) for name in names)


def _artifact(place: RunPlace, record: TaskRecord, name: str) -> Node:
    path = f"{_path(place)}/{record.key.step}/{record.key.task}/{name}"
    return Node(NodeKind.ARTIFACT, path, record.artifacts[name].type_name, record.finished_at)


def _path(place: RunPlace) -> str:
    return f"{place.namespace}/{place.flow}/{place.run_id}"
