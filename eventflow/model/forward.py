"""Forwards: an event passed on to the partition of a namespace that listens to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.model.event import EventRecord
    from eventflow.model.offset import Offset

__all__ = ["Forward", "Listener"]


@dataclass(frozen=True, slots=True)
class Listener:
    """A deployment of the home namespace, with the version in force at the event's offset."""

    flow: str
    version: int


@dataclass(frozen=True, slots=True)
class Forward:
    """At most one per event and home namespace. Its home decides it by the versions named here,
    even when a later one is in force there."""

    home: str
    origin: Offset
    event: EventRecord
    listeners: tuple[Listener, ...]
