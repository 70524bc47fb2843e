"""Reports: what a runner tells the custodians of other partitions about runs that it executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.run import RunReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.model.run import RunRecord
    from eventflow.services.log_parts import LogParts

__all__ = ["report"]


def report(
    log: LogParts, runner_id: str, records: Sequence[RunRecord], *, is_released: bool
) -> None:
    """Say that runs have their `end.json`, or were given up; on return it is durable."""
    reports = [RunReport(each.run_id, each.epoch, runner_id, is_released) for each in records]
    if reports:
        log.bus.publish([log.codec.new_record(each) for each in reports])
        log.effects.faults.reach("runner.reported")
