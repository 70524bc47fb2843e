"""What goes wrong in a universe: drawn by rates, written down, and told again exactly.

A question has a name (`process.dies`) and is asked many times. A run by rates writes down which
times the answer was yes; a run that is told these times goes wrong at the same places, and one
that is told fewer of them is a smaller example of the same failure.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Happening", "Happenings"]

Happening = tuple[str, int]


@dataclass
class Happenings:
    """The answers. `told` of None draws them by `rates`; else exactly those happen.

    `came_true` has (name, the how-maniest question of that name), in the order of the run.
    """

    random: random.Random
    rates: Mapping[str, float]
    told: frozenset[Happening] | None = None
    came_true: list[Happening] = field(default_factory=list)
    is_over: bool = False
    _asked: Counter[str] = field(default_factory=Counter)

    def happens(self, name: str) -> bool:
        """Whether it happens now. After `is_over`, nothing does."""
        rate = self.rates.get(name, 0.0)
        if self.is_over or (self.told is None and not rate):
            return False  # what never happens need not be counted
        self._asked[name] += 1
        happening = name, self._asked[name]
        yes = self.random.random() < rate if self.told is None else happening in self.told
        if yes:
            self.came_true.append(happening)
        return yes
