"""Publishes without end, as a program outside does, and keeps what was acknowledged.

An event whose publish failed is published again, the same object, until it is acknowledged; now
and then one that was acknowledged long ago comes again, as a new object with the same id.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Event as Flag

from eventflow import Event
from tests.support.eventually import eventually

PROJECT, BRANCH = "chaos", "prod"
_PAIRED = ("left", "right")
_REPEATS = 0.15
_PAIRS = 0.3
_OF_ONE_BRANCH = 0.5
_LONGEST_OUTAGE_S = 120


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An event that stands in the log; `is_everywhere` when it reaches every branch."""

    id: str
    name: str
    number: int
    is_everywhere: bool


class Publisher:
    """`acknowledged` grows while it `run`s."""

    def __init__(self, chance: random.Random) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.repeated = 0
        self._chance = chance
        self._numbers: Iterator[int] = itertools.count()

    def run(self, is_over: Flag, between: timedelta) -> None:
        """Publish until `is_over`; all that was begun is acknowledged then."""
        while not is_over.wait(between.total_seconds()):
            if self.acknowledged and self._chance.random() < _REPEATS:
                self._publish(self._chance.choice(self.acknowledged))
                self.repeated += 1
            else:
                new = self._new()
                self._publish(new)
                self.acknowledged.append(new)

    def _new(self) -> Acknowledged:
        number = next(self._numbers)
        is_pair = self._chance.random() < _PAIRS
        name = self._chance.choice(_PAIRED) if is_pair else "landed"
        # What is joined has one order only when it comes from one partition.
        is_everywhere = is_pair or self._chance.random() >= _OF_ONE_BRANCH
        return Acknowledged(f"e{number}", name, number, is_everywhere)

    def _publish(self, each: Acknowledged) -> None:
        branch = None if each.is_everywhere else BRANCH
        payload = {"number": each.number}
        event = Event(each.name, payload, project=PROJECT, branch=branch, id=each.id)
        eventually(event.publish, _LONGEST_OUTAGE_S, "an event was not taken")
