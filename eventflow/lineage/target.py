"""What a question about lineage is about, from what people type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from eventflow.errors import InvalidName, NotFound
from eventflow.model.offset import Offset
from eventflow.model.pathspec import split_pathspec
from eventflow.store.finding import find_run, namespaces_of
from eventflow.store.layout import RunPlace

if TYPE_CHECKING:
    from eventflow.store.port import Store

__all__ = ["ArtifactTarget", "OffsetTarget", "RunTarget", "Target", "find_target"]


@dataclass(frozen=True, slots=True)
class OffsetTarget:
    """A record of the log."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class RunTarget:
    """A run."""

    place: RunPlace


@dataclass(frozen=True, slots=True)
class ArtifactTarget:
    """An artifact of a task."""

    place: RunPlace
    step: str
    task: str
    name: str


Target: TypeAlias = OffsetTarget | RunTarget | ArtifactTarget


def find_target(text: str, store: Store, within: str | None) -> Target:
    """`topic/partition/offset`, `Flow/run` or `Flow/run/step/task/artifact`, the last two with
    `project/branch/` before them or not; of a run 6 characters of its id are enough.

    Raises:
        InvalidName: it is none of these.
        NotFound, Ambiguous: there is no such run, or there are several.
    """
    parts = text.split("/")
    if len(parts) == 3:
        return OffsetTarget(*Offset.parse(text))
    if len(parts) in (2, 4):
        full, (flow, run) = split_pathspec(text, 2)
        return RunTarget(_place(store, flow, run, full or within))
    if len(parts) in (5, 7):
        full, (flow, run, step, task, name) = split_pathspec(text, 5)
        return ArtifactTarget(_place(store, flow, run, full or within), step, task, name)
    raise InvalidName(
        f"{text!r} has no lineage: give topic/partition/offset, Flow/run, or"
        " Flow/run/step/task/artifact."
    )


def _place(store: Store, flow: str, run: str, within: str | None) -> RunPlace:
    namespaces = namespaces_of(store, flow, within)
    if not namespaces:
        raise NotFound(f"No flow {flow} has run {f'in {within}' if within else 'yet'}.")
    return find_run(store, flow, namespaces, run)
