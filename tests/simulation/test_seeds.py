"""The guarantees hold in a fixed set of simulated installations in which everything goes wrong."""

from __future__ import annotations

import pytest

from tests.simulation.scenario import Scenario
from tests.simulation.search import examine

_SEEDS = 300
_AT_ONCE = 25


@pytest.mark.parametrize("first", range(0, _SEEDS, _AT_ONCE))
def test_the_guarantees_hold_whatever_goes_wrong(first: int) -> None:
    failures = [examine(Scenario.drawn(seed)) for seed in range(first, first + _AT_ONCE)]

    for failure in failures:
        assert failure is None, (
            f"python -m tests.simulation --seed {failure.scenario.seed} shows:\n"
            + "\n".join(map(str, failure.complaints))
        )
