"""The answer of a question about lineage: a tree of things, the one asked about at its root."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

__all__ = ["Lineage", "Node", "NodeKind"]


class NodeKind(StrEnum):
    """What a node is."""

    EVENT = "event"
    COMPLETION = "completion"
    SCHEDULE = "schedule"
    RUN = "run"
    ARTIFACT = "artifact"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing. `name` is what names it everywhere: `topic/partition/offset` of an event or a
    completion, `schedule/0/Unix seconds` of the due time of a schedule,
    `project/branch/Flow/run[/step/task/artifact]` of the others.

    `label` says more to people: the name of an event, the flow of a completion, the timetable of
    a schedule, how a run ended (empty while it has not), the type of an artifact; empty when the
    store does not know. `at` is when the event was published, the schedule due, the run
    requested, the task of the artifact ended.
    `has_more`: what lies beyond is not shown here, since it is too far, or shown elsewhere in
    the tree.
    """

    kind: NodeKind
    name: str
    label: str = ""
    at: datetime | None = None
    children: tuple[Node, ...] = ()
    has_more: bool = False

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Lineage:
    """Both directions, each with the thing asked about at its root."""

    upstream: Node
    downstream: Node
