"""What was published to the flows Load and Follow, and what has to have come of it in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count

from eventflow import Event
from tests.acceptance.installation import Installation
from tests.support.eventually import eventually

__all__ = ["Ledger"]


@dataclass
class Ledger:
    """`outcomes`: the offset of each acknowledged event, and how the run of Load that it starts
    has to end. Where it succeeds, a run of Follow comes after it, which succeeds."""

    installation: Installation
    outcomes: dict[str, str] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)

    def publish(self, outcome: str = "succeeded", **payload: str) -> str:
        """An event for all branches; its offset."""
        fields = {"number": next(self.numbers), **payload}
        offset = str(Event("landed", fields, project="default").publish().offset)
        self.outcomes[offset] = outcome
        return offset

    def runs(self) -> dict[str, str]:
        """Offset of an event → the run of Load that it started."""
        history = self.installation.history
        return {
            "{topic}/{partition}/{offset}".format(**cause["origin"]): request["run_id"]
            for request in history.requests("Load")
            for cause in history.causes(request)
        }

    def settle(self) -> None:
        """Wait for every run to end, and check all that stands in log and store."""
        history, expected = self.installation.history, Counter(self.outcomes.values())
        eventually(
            lambda: len(history.completions()) == expected.total() + expected["succeeded"],
            timeout=120,
            message="not every run has ended",
        )

        history.check_started_once("Load", list(self.outcomes))
        history.check_ends()
        history.check_order()
        history.check_nothing_given_up()
        ended = history.ended()
        assert {each: ended[run] for each, run in self.runs().items()} == self.outcomes
        followed = [ended[request["run_id"]] for request in history.requests("Follow")]
        assert followed == ["succeeded"] * expected["succeeded"]
