"""Schedules on a real bus: each due time starts one run, whatever fails, and none before its time.

The due time is half an hour away, and the services' wall clocks are set past it; that of the bus
is the real one.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow.effects import SystemClock
from eventflow.model.decision import Verdict
from eventflow.model.timetable import Timetable
from eventflow.services.trigger import FAULT_POINTS
from tests.contract.buses import Backend
from tests.support.machines import event, on
from tests.support.trigger_rig import CrashAt, Crashed, TriggerRig

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR = "p/prod"
ON_THE_WAY = [
    each
    for each in FAULT_POINTS
    if each.endswith(("polled", "decided", "appended", "committing", "committed"))
]
HALF_AN_HOUR, DAY = timedelta(minutes=30), timedelta(days=1)


@dataclass
class AheadClock(SystemClock):
    """The clock of a host that is ahead of the brokers."""

    ahead: timedelta = field(default=timedelta())

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass(frozen=True)
class Due:
    """Once a day, half an hour from now, and the first time of it."""

    at: datetime = field(
        default_factory=lambda: (datetime.now(UTC) + HALF_AN_HOUR).replace(second=0, microsecond=0)
    )

    @property
    def timetable(self) -> Timetable:
        return Timetable(f"{self.at.minute} {self.at.hour} * * *", "UTC")


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def rig(request: pytest.FixtureRequest, tmp_path: Path, topic_prefix: str) -> Iterator[TriggerRig]:
    """A new installation on each backend."""
    if request.param == "kafka":
        server = request.getfixturevalue("kafka_server")
        backend = Backend("kafka", server.bootstrap_servers)
    else:
        backend = Backend("sqlite", str(tmp_path))
    with closing(TriggerRig(backend, topic_prefix, tmp_path)) as rig:
        yield rig


def _due_times(rig: TriggerRig) -> list[datetime]:
    return sorted(request.causes[0].at for request in rig.requests())


def test_a_schedule_starts_a_run_when_it_is_due_and_not_before(rig: TriggerRig) -> None:
    due, clock = Due(), AheadClock()
    service = rig.service(clock=clock, is_measured=True)
    rig.deploy("Nightly", None, schedule=due.timetable)
    rig.run(service)
    early = rig.requests()

    clock.ahead = HALF_AN_HOUR
    rig.run_until(lambda: bool(rig.requests()), service)
    clock.ahead += DAY
    rig.run_until(lambda: len(rig.requests()) > 1, service)

    assert early == []
    assert _due_times(rig) == [due.at, due.at + DAY]
    assert len({request.run_id for request in rig.requests()}) == 2
    starts = [each for each in rig.decisions() if each.verdict is Verdict.STARTED]
    assert all(each.decided_at >= due.at for each in starts)
    sample = rig.registry.get_sample_value
    assert sample("eventflow_due_to_request_seconds_count") == 2
    assert sample("eventflow_starts_total") == 2
    assert sample("eventflow_due_times_skipped_total") == 0


@pytest.mark.parametrize("point", ON_THE_WAY)
def test_a_service_that_dies_between_due_time_and_commit_starts_one_run(
    rig: TriggerRig, point: str
) -> None:
    due, faults, clock = Due(), CrashAt(), AheadClock()
    dying = rig.service(faults, clock=clock)
    rig.deploy("Nightly", None, schedule=due.timetable)
    rig.run(dying)
    faults.name, clock.ahead = point, HALF_AN_HOUR

    with pytest.raises(Crashed):
        rig.run_until(lambda: False, dying)
    heir = rig.service(clock=AheadClock(ahead=HALF_AN_HOUR))
    rig.run(heir)
    rig.run_until(lambda: bool(rig.requests()), heir)
    rig.publish(event("any", NEAR))
    rig.run(heir)

    assert _due_times(rig) == [due.at]


def test_what_was_missed_while_no_service_ran_is_one_run_that_says_so(rig: TriggerRig) -> None:
    due = Due()
    calm = rig.service()
    rig.deploy("Nightly", None, schedule=due.timetable)
    rig.run(calm)
    calm.close()

    later = rig.service(clock=AheadClock(ahead=HALF_AN_HOUR + 2 * DAY), is_measured=True)
    rig.run_until(lambda: bool(rig.requests()), later)

    assert _due_times(rig) == [due.at + 2 * DAY]
    (start,) = [each for each in rig.decisions() if each.verdict is Verdict.STARTED]
    assert start.reason.startswith("2 due times were skipped before it, from ")
    assert rig.registry.get_sample_value("eventflow_due_times_skipped_total") == 2


def test_a_backlog_is_not_overtaken_by_the_clock(rig: TriggerRig) -> None:
    """The schedule was taken back, but nobody has read that yet when it is due."""
    due = Due()
    calm = rig.service()
    rig.deploy("Nightly", None, schedule=due.timetable)
    rig.run(calm)
    calm.close()
    rig.publish(*(event("data", NEAR, {"n": n}) for n in range(700)))
    rig.deploy("Nightly", on("data"), version=2)
    rig.publish(event("data", NEAR))

    later = rig.service(clock=AheadClock(ahead=HALF_AN_HOUR))
    rig.run(later)

    (request,) = rig.requests()
    assert (request.version, request.causes[0].kind) == (2, "event")


def test_a_redeploy_with_an_equal_schedule_neither_misses_nor_repeats(rig: TriggerRig) -> None:
    due, clock = Due(), AheadClock()
    service = rig.service(clock=clock)
    rig.deploy("Nightly", None, schedule=due.timetable)
    rig.run(service)
    rig.deploy("Nightly", on("data"), version=2, schedule=due.timetable)
    rig.run(service)

    clock.ahead = HALF_AN_HOUR
    rig.run_until(lambda: bool(rig.requests()), service)
    rig.deploy("Nightly", None, version=3, schedule=due.timetable)
    rig.run(service)

    assert [(each.version, each.causes[0].at) for each in rig.requests()] == [(2, due.at)]
