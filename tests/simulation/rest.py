"""Whether a simulated installation has done all that there was to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.model.log import TopicPartition
from eventflow.model.run import RunPosition, RunRecord, RunRequest
from eventflow.model.state import TriggerPosition

if TYPE_CHECKING:
    from eventflow.model.log import Record
    from tests.simulation.installation import Installation
    from tests.simulation.simulated_log import PartitionLog

__all__ = ["Rest"]


@dataclass
class Rest:
    """Reads on each time it is asked, on the brokers themselves: it takes no time, and misses
    nothing."""

    installation: Installation
    reports: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    requested: dict[str, None] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)
    _next: dict[TopicPartition, int] = field(default_factory=dict)

    def why_not(self) -> str:
        """What there is to do still; empty at rest."""
        for topic in self.installation.cluster.topics.values():
            for log in topic.logs:
                if log.stable < log.high:
                    return f"{log.at} is stable to {log.stable} of {log.high}"
        self._read()
        waiting = [each for each in self.requested if each not in self.ended]
        if waiting:
            return f"runs that have not ended: {', '.join(waiting)}"
        reports = self.installation.topics.run_reports
        for number in range(self.installation.topics.run_partitions):
            end = self._log(reports, number).high
            if self.reports.get(number, 0) < end:
                return f"{reports}/{number} is read to {self.reports.get(number, 0)} of {end}"
        events = self.installation.topics.events
        for number in range(self.installation.topics.event_partitions):
            end = self._log(events, number).high
            if self.positions.get(number, 0) < end:
                return f"{events}/{number} is decided to {self.positions.get(number, 0)} of {end}"
        return ""

    def _log(self, topic: str, number: int) -> PartitionLog:
        return self.installation.cluster.log(TopicPartition(topic, number))

    def _read(self) -> None:
        topics = self.installation.topics
        for name in (topics.trigger_state, topics.run_requests, topics.runs):
            for log in self.installation.cluster.topic(name).logs:
                records, self._next[log.at] = log.read(self._next.get(log.at, 0), log.high)
                for record in records:
                    self._take(record)

    def _take(self, record: Record) -> None:
        if record.value is None:
            return
        match self.installation.codec.decode(record.value):
            case TriggerPosition(next_offset=offset):
                self.positions[record.partition] = offset
            case RunPosition(next_report=offset):
                self.reports[record.partition] = offset
            case RunRequest(run_id=run_id):
                self.requested[run_id] = None
            case RunRecord(run_id=run_id, outcome=outcome) if outcome is not None:
                self.ended[run_id] = None
