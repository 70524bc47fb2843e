"""The checker finds every planted fault, and has nothing to say of the same seeds without it."""

from __future__ import annotations

import pytest

from tests.simulation.planted import FAULTS, planted
from tests.simulation.scenario import Scenario
from tests.simulation.search import examine, first_found
from tests.simulation.table import read_table

_FURTHER = 100
"""How far is searched from the recorded seed on: a change of the order in which the real code
does things changes what a seed draws. `python -m tests.simulation --remake` records anew."""


def test_every_planted_fault_has_a_recorded_seed() -> None:
    assert read_table().keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_the_check_it_breaks(fault: str) -> None:
    seed = read_table()[fault].seed

    failure = first_found(seed, _FURTHER, fault)

    assert failure is not None, f"seeds {seed} to {seed + _FURTHER} do not show {fault}"
    assert failure.checks & FAULTS[fault].is_seen_by


@pytest.mark.parametrize("fault", FAULTS)
def test_the_seed_of_a_planted_fault_does_well_without_it(fault: str) -> None:
    scenario = Scenario.drawn(read_table()[fault].seed)

    failure = examine(scenario)

    assert failure is None, "\n".join(map(str, failure.complaints))


def test_a_fault_is_there_for_a_block_only() -> None:
    owners = [each for fault in FAULTS.values() for each in fault.replaces]
    right = [getattr(owner, name) for owner, name, _ in owners]

    for fault in FAULTS:
        with planted(fault):
            now = [getattr(owner, name) for owner, name, _ in owners]
            assert now != right

    assert [getattr(owner, name) for owner, name, _ in owners] == right
