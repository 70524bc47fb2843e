"""What started what, folded from the lines of `eventflow tail --json` in whatever order they come.

An event starts a run; the completion of that run is a record of the same log, and starts the
next. So a chain is followed from offset to run to offset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WAITING = frozenset({"held", "duplicate"})  # verdicts that leave it to another event


@dataclass(frozen=True)
class Link:
    """One run of a chain; `outcome` is None until it has ended, `offset` that of its notice."""

    flow: str
    run_id: str
    outcome: str | None = None
    offset: str | None = None
    reason: str = ""


@dataclass
class Chains:
    """What the log has said so far."""

    first_offset: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    completions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, said: dict[str, Any]) -> None:
        """Take in one line of the log."""
        if said["kind"] == "event":
            self.first_offset.setdefault(said["id"], said["offset"])
        elif said["kind"] == "decision":
            self.decisions.setdefault(said["origin"], []).append(said)
        elif said["kind"] == "completion":
            self.completions[said["run_id"]] = said

    def links(self, event_id: str, namespace: str) -> list[Link]:
        """The runs of a namespace that an event led to, one after another."""
        return list(self._follow(self.first_offset.get(event_id), namespace))

    def refusals(self, event_id: str, namespace: str) -> list[str]:
        """Why a chain goes no further, where that is final: no run, two runs, or a failed one."""
        links = self.links(event_id, namespace)
        origins = [self.first_offset.get(event_id), *(link.offset for link in links)]
        found = [
            f"{said['flow']}: {said['verdict']} {said['reason']}".rstrip()
            for origin in origins
            for said in self._decided(origin, namespace)
            if said["verdict"] not in {"started", *WAITING}
        ]
        found += [
            f"{link.flow} {link.outcome}: {link.reason}"
            for link in links
            if link.outcome not in {None, "succeeded"}
        ]
        flows = [link.flow for link in links]
        found += [f"{flow} started twice" for flow in sorted(set(flows)) if flows.count(flow) > 1]
        return found

    def _follow(self, origin: str | None, namespace: str) -> Iterator[Link]:
        for said in self._decided(origin, namespace):
            if said["verdict"] != "started":
                continue
            end = self.completions.get(said["run_id"])
            if end is None:
                yield Link(said["flow"], said["run_id"])
                continue
            yield Link(said["flow"], said["run_id"], end["outcome"], end["offset"], end["reason"])
            yield from self._follow(end["offset"], namespace)

    def _decided(self, origin: str | None, namespace: str) -> list[dict[str, Any]]:
        decided = self.decisions.get(origin, []) if origin else []
        return [said for said in decided if said["namespace"] == namespace]
