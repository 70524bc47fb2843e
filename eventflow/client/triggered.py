"""What started a run: `current.trigger` and `Run.trigger`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import ItemMissing
from eventflow.model.payload import decode_payload
from eventflow.model.trigger import Source
from eventflow.store.layout import RunPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from eventflow.client.run import Run
    from eventflow.model.payload import Payload
    from eventflow.model.run import Cause

__all__ = ["Triggered", "TriggeringEvent"]


@dataclass(frozen=True, slots=True)
class TriggeringEvent:
    """An event, the completion of a run, or a due time of `@schedule`, that started a run.

    `type` is `event`, `run` or `schedule`; of a run, `name` is its flow and `id` the run's; of a
    schedule, `name` is its cron expression and time zone, `timestamp` and `id` are the due time.
    `offset` is where it stands in the log: `topic/partition/offset`. `timestamp` is aware UTC.
    """

    name: str
    id: str
    type: str
    namespace: str
    timestamp: datetime
    offset: str
    encoded_payload: bytes

    @property
    def payload(self) -> Payload:
        """The payload, types kept. Of a run: `flow`, `run_id`, `outcome`. Of a schedule: `cron`,
        `timezone`, `due_at`, and `skipped`, the number of due times that this run stands for too.

        Raises:
            InvalidPayload: it is none that could be read.
        """
        return decode_payload(self.encoded_payload)


class Triggered:
    """All that started a run, oldest first; an index by name gives the latest of that name."""

    def __init__(self, causes: Sequence[Cause], open_run: Callable[[RunPlace], Run]) -> None:
        self._causes = tuple(causes)
        self._open_run = open_run

    @property
    def event(self) -> TriggeringEvent:
        """The latest of them."""
        return self.events[-1]

    @property
    def events(self) -> list[TriggeringEvent]:
        """All of them, completions too."""
        return [_event(cause) for cause in self._causes]

    @property
    def run(self) -> Run | None:
        """The latest run whose completion started this one; None when only events did."""
        runs = self.runs
        return runs[-1] if runs else None

    @property
    def runs(self) -> list[Run]:
        """The runs whose completions started this one; their results are readable."""
        return [self._run(cause) for cause in self._causes if cause.kind is Source.COMPLETION]

    def __getitem__(self, name: str) -> Run | TriggeringEvent:
        """The run of a flow of that name, else the event of that name."""
        named = [cause for cause in self._causes if cause.name == name]
        if not named:
            there = ", ".join(sorted({cause.name for cause in self._causes})) or "nothing"
            raise ItemMissing(f"No event or flow {name!r} triggered the run; it was: {there}.")
        latest = named[-1]
        return self._run(latest) if latest.kind is Source.COMPLETION else _event(latest)

    def __contains__(self, name: object) -> bool:
        return any(cause.name == name for cause in self._causes)

    def __iter__(self) -> Iterator[TriggeringEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self._causes)

    def __repr__(self) -> str:
        return f"<triggered by {', '.join(f'{each.name} ({each.offset})' for each in self)}>"

    def _run(self, cause: Cause) -> Run:
        assert cause.run_id is not None  # a completion always has its run
        return self._open_run(RunPlace(cause.run_namespace, cause.flow, cause.run_id))


def _event(cause: Cause) -> TriggeringEvent:
    return TriggeringEvent(
        name=cause.name,
        id=cause.event_id,
        type="run" if cause.kind is Source.COMPLETION else cause.kind.value,
        namespace=cause.namespace,
        timestamp=cause.at,
        offset=str(cause.origin),
        encoded_payload=cause.payload,
    )
