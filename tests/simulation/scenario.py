"""What a seed draws: how large an installation is, what happens in it, and what goes wrong.

Each scenario has some kinds of mishaps and not others, often or seldom: an installation in which
everything goes wrong all the time never gets to where the rare faults are.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.workload import Act, drawn, drawn_cancels, drawn_schedules, with_hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.happenings import Happening

__all__ = ["Scenario"]

_MISHAPS: Mapping[str, tuple[float, float]] = {
    "process.dies": (0.0005, 0.01),
    "process.stops": (0.0005, 0.006),
    "process.leaves": (0.002, 0.03),
    "everybody.dies": (0.002, 0.05),
    "process.is-cut-off": (0.005, 0.1),
    "answer.slow": (0.002, 0.05),
    "clock.jumps": (0.0005, 0.01),
    "bus.answer-lost": (0.005, 0.1),
    "bus.refused": (0.002, 0.03),
    "group.rebalances": (0.01, 0.3),
    "group.expels": (0.005, 0.1),
    "log.cleaned": (0.002, 0.1),
    "marker.late": (0.02, 0.5),
    "replica.late": (0.01, 0.3),
    "fetch.short": (0.01, 0.5),
    "brokers.are-away": (0.002, 0.05),
    "store.answer-lost": (0.005, 0.1),
    "store.retried": (0.05, 0.5),
    "store.refused": (0.002, 0.05),
    "store.is-away": (0.002, 0.05),
    "store.slow": (0.002, 0.03),
    "task.fails": (0.01, 0.2),
    "task.dies": (0.01, 0.2),
    "task.is-long": (0.02, 0.3),
    "publish.repeated": (0.05, 0.5),
}
"""Name → the lowest and the highest rate, a question."""

_CALM = 0.4


@dataclass(frozen=True, slots=True)
class Scenario:
    """One simulated installation. Equal scenarios give equal histories.

    Mishaps are drawn by `rates` for `lasts`; or, when `told` is given, those happen and no other.
    """

    seed: int
    rates: Mapping[str, float]
    lasts: timedelta
    acts: tuple[Act, ...]
    partitions: int = 2
    trigger_services: int = 2
    runners: int = 2
    slots: int = 2
    told: frozenset[Happening] | None = field(default=None)

    @classmethod
    def drawn(cls, seed: int) -> Scenario:
        """The scenario of a seed."""
        by = random.Random(f"{seed}/scenario")
        acts = drawn(by)
        ticks = drawn_schedules(random.Random(f"{seed}/schedules"), acts[-1].after)
        cancels = drawn_cancels(random.Random(f"{seed}/cancels"), acts[-1].after)
        hooked = with_hooks(random.Random(f"{seed}/hooks"), (*acts, *ticks))
        return cls(
            seed=seed,
            rates={name: _rate(by, *rates) for name, rates in _MISHAPS.items()},
            lasts=acts[-1].after + timedelta(seconds=by.randint(5, 40)),
            acts=tuple(sorted((*hooked, *cancels), key=lambda act: act.after)),
            partitions=by.randint(2, 3),
            trigger_services=by.randint(2, 3),
            runners=by.randint(2, 3),
            slots=by.randint(1, 3),
        )


def _rate(by: random.Random, lowest: float, highest: float) -> float:
    """Nothing of its kind, or a rate anywhere between seldom and often."""
    is_calm, exponent = by.random() < _CALM, by.random()
    return 0.0 if is_calm else lowest * (highest / lowest) ** exponent
