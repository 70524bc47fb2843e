"""The topics of an installation: names, partitions, cleanup, retention (docs/protocols.md §1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from eventflow.model.log import Cleanup, TopicSpec

__all__ = ["EVENT_LIMIT_BYTES", "Topics"]

EVENT_LIMIT_BYTES = 512 * 1024
_RECORD_LIMIT_BYTES = 1024 * 1024
_DEAD_LETTER_LIMIT_BYTES = _RECORD_LIMIT_BYTES + 64 * 1024
_STATE = {"segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics under one prefix. `events` and its companions have `event_partitions`,
    `run-requests` and its companions `run_partitions`; the rest have one."""

    prefix: str = "eventflow."
    event_partitions: int = 12
    run_partitions: int = 12

    @property
    def events(self) -> str:
        """Events, completions, activations, forwards: the one input log."""
        return f"{self.prefix}events"

    @property
    def deployments(self) -> str:
        """One whole version of a deployment per record."""
        return f"{self.prefix}deployments"

    @property
    def trigger_state(self) -> str:
        """What the trigger service knows of a partition of `events`."""
        return f"{self.prefix}trigger-state"

    @property
    def decisions(self) -> str:
        """What the trigger service concluded, and why."""
        return f"{self.prefix}decisions"

    @property
    def run_requests(self) -> str:
        """Runs that have to be executed."""
        return f"{self.prefix}run-requests"

    @property
    def runs(self) -> str:
        """The record of each run, written by its custodian."""
        return f"{self.prefix}runs"

    @property
    def run_reports(self) -> str:
        """Ends of runs that another runner than the custodian executed."""
        return f"{self.prefix}run-reports"

    @property
    def runners(self) -> str:
        """Heartbeats of runner processes."""
        return f"{self.prefix}runners"

    @property
    def run_log(self) -> str:
        """States of tasks, for live views only."""
        return f"{self.prefix}run-log"

    @property
    def schemas(self) -> str:
        """Writer schemas by fingerprint."""
        return f"{self.prefix}schemas"

    @property
    def dead_letters(self) -> str:
        """Records that could not be handled, whole."""
        return f"{self.prefix}dead-letters"

    def specs(self) -> tuple[TopicSpec, ...]:
        """Every topic, as it has to be."""
        events, runs = self.event_partitions, self.run_partitions
        return (
            _log(self.events, events, days=30),
            _table(self.deployments, 1),
            _table(self.trigger_state, events, **_STATE),
            _log(self.decisions, events, days=30),
            _log(self.run_requests, runs, days=30),
            _table(self.runs, runs, **_STATE),
            _log(self.run_reports, runs, days=30),
            _table(self.runners, 1),
            _log(self.run_log, runs, days=3),
            _table(self.schemas, 1),
            _log(self.dead_letters, events, days=90, limit=_DEAD_LETTER_LIMIT_BYTES),
        )


def _log(name: str, partitions: int, *, days: int, limit: int = _RECORD_LIMIT_BYTES) -> TopicSpec:
    return TopicSpec(name, partitions, Cleanup.DELETE, timedelta(days=days), limit)


def _table(name: str, partitions: int, **config: str) -> TopicSpec:
    named = {key.replace("_", "."): value for key, value in config.items()}
    return TopicSpec(name, partitions, Cleanup.COMPACT, None, _RECORD_LIMIT_BYTES, named)
