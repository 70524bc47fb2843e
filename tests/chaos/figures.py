"""What the history of a chaos run has to show; with less of it, it has proved nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields

_LEAST = {
    "aborted": 5,
    "refused": 3,
    "taken_over": 3,
    "recovered": 1,
    "tasks_that_lost_their_runner": 3,
    "published": 30,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Aborted transactions, refused commits of zombies, runs that got to epoch 2, completions
    recovered from an `end.json` without notice."""

    aborted: int
    refused: int
    taken_over: int
    recovered: int
    tasks_that_lost_their_runner: int
    published: int

    @property
    def short(self) -> str:
        """Which figures are too small; empty when none is."""
        return ", ".join(
            f"{each.name} is {getattr(self, each.name)}, not {_LEAST[each.name]}"
            for each in fields(self)
            if getattr(self, each.name) < _LEAST[each.name]
        )
