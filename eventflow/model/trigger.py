"""Triggers: the condition of a deployment, and how payload fields become parameters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["FieldMapping", "Source", "Subscription", "Trigger"]


class Source(StrEnum):
    """What starts a run. Triggers hear one of the first two: `@trigger` events only,
    `@trigger_on_finish` completions only. The due time of a schedule is heard by nobody."""

    EVENT = "event"
    COMPLETION = "completion"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """The payload field that a parameter is taken from. `field` may be a path: `table.name`."""

    parameter: str
    field: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """One name that a trigger waits for: an event's, or a flow's (whose success it then means)."""

    name: str
    mappings: tuple[FieldMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """Fires when every subscription has at least one event. Equal triggers keep open joins."""

    source: Source
    subscriptions: tuple[Subscription, ...]

    @property
    def is_join(self) -> bool:
        """Whether it waits for more than one name."""
        return len(self.subscriptions) > 1

    def subscription(self, name: str) -> Subscription | None:
        """The subscription to `name`, if there is one."""
        return next((each for each in self.subscriptions if each.name == name), None)
