"""A simulated installation: told again it is the same, and what it shows is worth looking at."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

from tests.simulation.checker import complaints_of
from tests.simulation.evidence import Evidence
from tests.simulation.installation import Outcome, run
from tests.simulation.scenario import Scenario

SEED = 10


def digest_of(outcome: Outcome) -> str:
    """Equal for two outcomes that differ in nothing."""
    told = repr((outcome.history, outcome.happenings, outcome.trace))
    return hashlib.sha256(told.encode()).hexdigest()


def test_a_seed_gives_the_same_outcome_in_every_process() -> None:
    program = (
        "from tests.simulation.test_installation import *;"
        "print(digest_of(run(Scenario.drawn(SEED), keeps_trace=True)))"
    )
    others = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]

    here = digest_of(run(Scenario.drawn(SEED), keeps_trace=True))

    assert others == [here, here]


def test_what_went_wrong_can_be_told_again() -> None:
    drawn = run(Scenario.drawn(SEED), keeps_trace=True)

    told = run(replace(drawn.scenario, told=frozenset(drawn.happenings)), keeps_trace=True)

    assert drawn.happenings
    assert digest_of(told) == digest_of(drawn)


def test_without_mishaps_every_run_succeeds_at_once() -> None:
    outcome = run(replace(Scenario.drawn(SEED), told=frozenset()))

    evidence = Evidence(outcome.history)
    ends = [entries[-1].value for entries in evidence.records_of_runs.values()]
    assert ends
    assert {(end["outcome"], end["epoch"]) for end in ends} == {("succeeded", 1)}
    assert outcome.history.is_at_rest
    assert complaints_of(outcome.history) == []


def test_some_seeds_are_enough_to_see_what_is_rare() -> None:
    seen = Counter[str]()

    for seed in range(40):
        outcome = run(Scenario.drawn(seed), keeps_trace=True)
        seen.update(name for name, _ in outcome.happenings)
        seen.update(_logged(outcome))
        seen.update(_recorded(Evidence(outcome.history)))

    assert set(Scenario.drawn(0).rates) - set(seen) == set()
    assert seen["run taken over"] >= 3
    assert seen["run ended by its first runner"] >= 100
    assert seen["runner lapsed"] >= 1
    assert seen["commit refused for its producer"] >= 3
    assert seen["commit refused for its generation"] >= 3
    assert seen["forward"] >= 50
    for verdict in ("started", "held", "duplicate", "dead letter", "closed by redeploy"):
        assert seen[verdict] >= 1


def _logged(outcome: Outcome) -> list[str]:
    """What the services say of themselves, in words of this test."""
    words = {
        "run.taken-over": "run taken over",
        "runner.lapsed": "runner lapsed",
        "generation": "commit refused for its generation",
        "is over, it is": "commit refused for its producer",
    }
    lines = [line for _, _, line in outcome.trace if line.startswith("log: ")]
    return [said for part, said in words.items() for line in lines if part in line]


def _recorded(evidence: Evidence) -> list[str]:
    records = evidence.records_of_runs.values()
    first = sum(entries[-1].value["epoch"] == 1 for entries in records)
    verdicts = [each.value["verdict"] for each in evidence.read("decisions", "Decision")]
    forwards = len(evidence.read("events", "Forward"))
    return [*verdicts, *["forward"] * forwards, *["run ended by its first runner"] * first]
