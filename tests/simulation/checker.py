"""The checker: which guarantees of the design a history breaks, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.checks_of_ends import CHECKS_OF_ENDS
from tests.simulation.checks_of_runs import CHECKS_OF_RUNS
from tests.simulation.checks_of_schedules import CHECKS_OF_SCHEDULES
from tests.simulation.checks_of_starts import CHECKS_OF_STARTS
from tests.simulation.evidence import Evidence
from tests.simulation.plain_matching import expected_of

if TYPE_CHECKING:
    from tests.simulation.history import History

__all__ = ["Complaint", "complaints_of"]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A guarantee that does not hold: the name of the check, and one place."""

    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.check}: {self.message}"


def complaints_of(history: History) -> list[Complaint]:
    """All that is wrong with a history; nothing of a good one."""
    evidence = Evidence(history)
    expected = expected_of(evidence)
    found = []
    for starts in CHECKS_OF_STARTS:
        found += [Complaint(starts.__name__, text) for text in starts(evidence, expected)]
    for check in (*CHECKS_OF_SCHEDULES, *CHECKS_OF_RUNS, *CHECKS_OF_ENDS):
        found += [Complaint(check.__name__, text) for text in check(evidence)]
    return found
