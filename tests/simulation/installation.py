"""One simulated installation: the real services, composed as `eventflow/app.py` does, and run.

    outcome = run(Scenario.drawn(seed))
    complaints_of(outcome.history)

`run` lets everything go wrong for as long as the scenario says; then nothing goes wrong any more,
whatever is stopped goes on, and the installation has `_PATIENCE` of simulated time to come to
rest. A shorter example of a failure is the same scenario with fewer acts, and with `told` set to
fewer of `outcome.happenings`: `replace(scenario, acts=…, told=frozenset(…))`.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from eventflow.bus.deployment_log import DeploymentLog
from eventflow.bus.schema_topic import SchemaLookup, publish_schemas
from eventflow.codec.codec import Codec
from eventflow.context import Makers, World
from eventflow.effects import Effects
from eventflow.metrics import RunnerMetrics, TriggerMetrics
from eventflow.model.topics import Topics
from eventflow.services.log_parts import LogParts
from eventflow.services.presence import Host, Presence
from eventflow.services.runner import Runner
from eventflow.services.runner_parts import RunnerParts
from eventflow.services.slots import Slots
from eventflow.services.task_states import TaskStates
from eventflow.services.trigger import TriggerParts, TriggerService
from eventflow.settings import Settings
from tests.simulation.history import (
    Cancelled,
    Fate,
    History,
    Published,
    TaskRun,
    WrittenObject,
)
from tests.simulation.people import CODE, People
from tests.simulation.plain_calendar import PlainCalendar
from tests.simulation.rest import Rest
from tests.simulation.service_process import ServiceProcess
from tests.simulation.simulated_bus import SimulatedBus
from tests.simulation.simulated_cluster import Cluster
from tests.simulation.simulated_executor import SimulatedExecutor, TaskHistory, TaskWorld
from tests.simulation.simulated_store import Bucket, SimulatedStore
from tests.simulation.told_logs import told_logs
from tests.simulation.universe import SimulatedIds, Universe
from tests.simulation.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventflow.bus.port import Bus
    from tests.simulation.happenings import Happening
    from tests.simulation.scenario import Scenario
    from tests.simulation.universe import Process

__all__ = ["Installation", "Outcome", "run"]

PREFIX = "sim."
_PATIENCE = timedelta(seconds=600)
_SETTLING = timedelta(seconds=12)
_LOOK = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scenario. `happenings` went wrong, in order; `why_no_rest` is empty when
    it came to rest; `trace` has (time, process, effect) when it was kept."""

    scenario: Scenario
    history: History
    happenings: Sequence[Happening]
    why_no_rest: str
    effects: int
    trace: Sequence[tuple[timedelta, str, str]]


def run(scenario: Scenario, *, keeps_trace: bool = False) -> Outcome:
    """Live through a scenario. The same one gives the same outcome, in every process."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        installation = Installation(scenario, Path(folder), keeps_trace=keeps_trace)
        with told_logs(installation.universe):
            return installation.live()


@dataclass
class Installation:
    """Brokers, bucket, processes. `folder` is the state folder, with the code unpacked in its
    cache: an unpacking runner holds a lock of the system, and must not stand still meanwhile."""

    scenario: Scenario
    folder: Path
    keeps_trace: bool = False
    universe: Universe = field(init=False)
    cluster: Cluster = field(init=False)
    bucket: Bucket = field(init=False)
    weather: Weather = field(init=False)
    topics: Topics = field(init=False)
    codec: Codec = field(init=False)
    settings: Settings = field(init=False)
    published: list[Published] = field(default_factory=list)
    tasks: list[TaskHistory] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)

    def __post_init__(self) -> None:
        scenario = self.scenario
        self.universe = Universe.by(scenario.seed, dict(scenario.rates), scenario.told)
        self.universe.keeps_trace = self.keeps_trace
        self.cluster = Cluster(self.universe)
        self.bucket = Bucket(lambda: self.universe.now, self.universe.stamp)
        self.weather = Weather(self.universe, self.bucket, self.cluster.outage)
        self.topics = Topics(PREFIX, scenario.partitions, scenario.partitions)
        self.codec = _codec(self.topics)
        self.settings = Settings.load(home=self.folder, user="somebody")
        (self.folder / "cache" / CODE.digest).mkdir(parents=True)

    def live(self) -> Outcome:
        """From the first record to rest."""
        try:
            self._found()
            people = People(self)
            for service in self._services():
                service.start()
            people.begin(self.scenario.acts)
            self.weather.begin()
            self._pass(self.scenario.lasts)
            why = self._come_to_rest(people)
        finally:
            self.universe.end()
        return self._outcome(why)

    # -- the phases ------------------------------------------------------------------------------

    def _found(self) -> None:
        """Topics and schemas, before anything goes wrong."""
        self.universe.happenings.is_over = True
        bus = self.connect()
        bus.ensure(self.topics.specs(), create=True)
        publish_schemas(bus, self.codec, self.topics)
        bus.close()
        self.universe.happenings.is_over = False

    def _come_to_rest(self, people: People) -> str:
        """Why it did not; empty when it did."""
        self.universe.happenings.is_over = True
        self.weather.clear_up()
        for process in tuple(self.universe.processes.values()):
            if process.is_alive:
                self.universe.go_on(process)
        rest, until = Rest(self), self.universe.time + _PATIENCE
        why = "it was not asked"
        while why and self.universe.time < until:
            self._pass(_LOOK)
            why = people.why_busy or rest.why_not()
            if not why:  # what comes late would show now
                self._pass(_SETTLING)
                why = people.why_busy or rest.why_not()
        return why

    def _pass(self, time: timedelta) -> None:
        self.universe.run(lambda: False, self.universe.time + time)

    def _outcome(self, why_no_rest: str) -> Outcome:
        records = self.cluster.committed(PREFIX)
        happenings = tuple(self.universe.happenings.came_true)
        history = History(
            records=records,
            objects=[WrittenObject(p.stamp, p.key, p.data, p.writer) for p in self.bucket.puts],
            published=self.published,
            tasks=[_task_run(each) for each in self.tasks],
            topic_ids={
                name.removeprefix(PREFIX): topic.info.topic_id
                for name, topic in self.cluster.topics.items()
            },
            event_partitions=self.topics.event_partitions,
            is_at_rest=not why_no_rest,
            has_jumps=any(name == "clock.jumps" for name, _ in happenings),
            has_outages=any(name == "store.is-away" for name, _ in happenings),
            oddities=self.oddities,
            cancelled=self.cancelled,
        )
        universe = self.universe
        return Outcome(
            self.scenario, history, happenings, why_no_rest, universe.effects, universe.trace
        )

    # -- processes -------------------------------------------------------------------------------

    def _services(self) -> list[ServiceProcess]:
        names = [f"trigger-{number}" for number in range(self.scenario.trigger_services)]
        services = [ServiceProcess(self, name, self._trigger_service) for name in names]
        for number in range(self.scenario.runners):
            # The first two share a host, where each knows at once that the other is dead.
            host = "host-0" if number < 2 else f"host-{number}"
            make = partial(self._runner, host)
            services.append(ServiceProcess(self, f"runner-{number}", make))
        return services

    def connect(self) -> Bus:
        """A connection, of the process that asks for it."""
        return SimulatedBus(self.universe, self.cluster)

    def effects(self, process: Process) -> Effects:
        """What a process is handed."""
        by = random.Random(f"{self.scenario.seed}/{process.pid}")
        return Effects(process.clock, SimulatedIds(by), self.universe, by)

    def world(self, process: Process) -> World:
        """The connected world of a process of people."""
        makers = Makers(
            settings=lambda: self.settings,
            bus=lambda _: self.connect(),
            store=lambda _: self._store(),
            codec=lambda _: self.codec,
            decoder=lambda world: SchemaLookup(world.bus, world.codec, world.topics),
        )
        return World(self.topics, self.effects(process), allow_pickle=True, makers=makers)

    def _store(self) -> SimulatedStore:
        return SimulatedStore(self.universe, self.bucket)

    def _log_parts(self, process: Process) -> LogParts:
        bus = self.connect()
        decoder = SchemaLookup(bus, self.codec, self.topics)
        return LogParts(bus, self.codec, decoder, self.topics, self.effects(process))

    def _trigger_service(self, process: Process) -> tuple[TriggerService, Callable[[], None]]:
        log = self._log_parts(process)
        service = TriggerService(
            TriggerParts(
                log=log,
                store=self._store(),
                deployments=DeploymentLog(log.bus, log.decoder, log.topics),
                settings=self.settings.trigger,
                metrics=TriggerMetrics(CollectorRegistry()),
                calendar=PlainCalendar(),
            )
        )
        return service, _nothing

    def _runner(self, host: str, process: Process) -> tuple[Runner, Callable[[], None]]:
        """A runner, and what its death does to its tasks."""
        settings, metrics = self.settings.runner, RunnerMetrics(CollectorRegistry())
        log, count = self._log_parts(process), self.scenario.slots
        where = Host(host, "boot", process.pid, self._is_alive)
        task_states = TaskStates(log.bus, log.codec, log.effects)
        executor = SimulatedExecutor(self._task_world(), process)
        slots = Slots(
            count,
            store=self._store(),
            executor=executor,
            cache=self.folder / "cache",
            effects=log.effects,
            metrics=metrics,
            on_task_state=task_states.add,
        )
        runner = Runner(
            RunnerParts(
                log=log,
                store=self._store(),
                deployments=DeploymentLog(log.bus, log.decoder, log.topics),
                presence=Presence(log, settings, where, count),
                slots=slots,
                task_states=task_states,
                settings=settings,
                metrics=metrics,
            )
        )
        return runner, executor.orphan

    def _task_world(self) -> TaskWorld:
        return TaskWorld(
            self.universe, self.bucket, self.connect, self.codec, self.tasks, self.oddities
        )

    def _is_alive(self, pid: int) -> bool:
        return self.universe.processes[pid].is_alive


def _task_run(task: TaskHistory) -> TaskRun:
    key, run_id = task.plan.key, task.plan.run.request.run_id
    attempt = key.epoch, key.step, key.task, key.attempt
    how = Fate(task.fate), task.why, task.until, task.hook
    return TaskRun(task.stamp, run_id, *attempt, task.runner, *how)


@cache
def _codec(topics: Topics) -> Codec:
    """Parsing the schemas takes as long as much of a simulation."""
    return Codec(topics)


def _nothing() -> None:
    """Nothing else ends with a trigger service."""
