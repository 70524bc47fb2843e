"""What a benchmark says: a measured quantity, beside what bounds it, and the goal."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

__all__ = ["Figure", "Goal", "Measured", "NotToBeHad", "limit_ms", "rates", "times_ms"]

_FEWEST = 2


class NotToBeHad(Exception):
    """What a benchmark stands beside is not on this machine; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The median of `count` samples, and what 99 of 100 are no worse than.

    For times, p99 is the 99th percentile; for rates it is the 1st.
    """

    unit: str
    count: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that is kept by `p50`, `p99` or `ratio`: at most for times, at least for rates."""

    of: Literal["p50", "p99", "ratio"]
    limit: float
    is_lower_bound: bool = False

    def __str__(self) -> str:
        return f"{self.of} {'≥' if self.is_lower_bound else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `peer` says what the ceiling does."""

    benchmark: str
    backend: str
    name: str
    value: Measured
    peer: str
    ceiling: Measured
    goal: Goal | None = None

    @property
    def ratio(self) -> float:
        """The median beside the ceiling's: 1 is as fast, of times above 1 is slower."""
        return self.value.p50 / self.ceiling.p50

    @property
    def is_goal_met(self) -> bool | None:
        """None without a goal."""
        if self.goal is None:
            return None
        found = {"p50": self.value.p50, "p99": self.value.p99, "ratio": self.ratio}[self.goal.of]
        if self.goal.is_lower_bound:
            return found >= self.goal.limit
        return found <= self.goal.limit

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data, with what follows from it."""
        return {**asdict(self), "ratio": self.ratio, "is_goal_met": self.is_goal_met}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figure:
        """What `to_json` made, whatever else stands beside it."""
        goal = data["goal"]
        return cls(
            benchmark=data["benchmark"],
            backend=data["backend"],
            name=data["name"],
            value=Measured(**data["value"]),
            peer=data["peer"],
            ceiling=Measured(**data["ceiling"]),
            goal=Goal(**goal) if goal else None,
        )


def times_ms(seconds: Iterable[float]) -> Measured:
    """Milliseconds of durations in seconds."""
    times = [each * 1000 for each in seconds]
    return Measured("ms", len(times), statistics.median(times), _percentile(times, 99))


def limit_ms(duration: timedelta) -> Measured:
    """What a setting says, as a ceiling: nothing of it was measured, so its count is 0."""
    ms = duration / timedelta(milliseconds=1)
    return Measured("ms", 0, ms, ms)


def rates(seconds: Iterable[float], events_each: int) -> Measured:
    """Events per second, of equal parts of the work that took so long."""
    found = [events_each / each for each in seconds]
    return Measured("1/s", len(found), statistics.median(found), _percentile(found, 1))


def _percentile(values: list[float], percent: int) -> float:
    if len(values) < _FEWEST:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
