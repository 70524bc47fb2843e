"""Whether a simulated installation has done all that there was to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.model.log import TopicPartition
from eventflow.model.run import RunRecord, RunRequest
from eventflow.model.state import TriggerPosition

if TYPE_CHECKING:
    from eventflow.bus.port import Reader
    from eventflow.model.log import Record
    from tests.simulation.installation import Installation

__all__ = ["Rest"]

_NO_WAIT = timedelta()


@dataclass
class Rest:
    """Reads on each time it is asked, from no process."""

    installation: Installation
    positions: dict[int, int] = field(default_factory=dict)
    requested: dict[str, None] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)
    _reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        topics, self._bus = self.installation.topics, self.installation.connect()
        names = (topics.trigger_state, topics.run_requests, topics.runs)
        count = topics.event_partitions
        self._reader = self._bus.reader(
            {TopicPartition(name, number): 0 for name in names for number in range(count)}
        )

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
        events = self.installation.topics.events
        for number in range(self.installation.topics.event_partitions):
            end = self._bus.high_watermark(TopicPartition(events, number))
            if self.positions.get(number, 0) < end:
                return f"{events}/{number} is decided to {self.positions.get(number, 0)} of {end}"
        return ""

    def _read(self) -> None:
        while records := self._reader.poll(_NO_WAIT).records:
            for each in records.values():
                for record in each:
                    self._take(record)

    def _take(self, record: Record) -> None:
        if record.value is None:
            return
        match self.installation.codec.decode(record.value):
            case TriggerPosition(next_offset=offset):
                self.positions[record.partition] = offset
            case RunRequest(run_id=run_id):
                self.requested[run_id] = None
            case RunRecord(run_id=run_id, outcome=outcome) if outcome is not None:
                self.ended[run_id] = None
