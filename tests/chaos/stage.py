"""Where the chaos takes place: an installation on servers of its own, its services, what they say.

Several hands act on it at once, each on a kind of service of its own; `look` is called all the
time by one watcher.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.acceptance.installation import Installation
from tests.chaos.markers import aborted_transactions
from tests.chaos.member import Member
from tests.chaos.processes import process
from tests.chaos.shape import Shape
from tests.chaos.task_watch import TaskWatch
from tests.servers.kafka import KafkaServer
from tests.servers.s3 import S3Server
from tests.support.eventually import eventually

TRIGGER, RUNNER = "trigger-service", "runner"
PARTITIONS = 4
OWNED = {TRIGGER: "eventflow_trigger_partitions", RUNNER: "eventflow_runner_partitions"}
REFUSED = {
    TRIGGER: "eventflow_trigger_refused_commits_total",
    RUNNER: "eventflow_runner_refused_commits_total",
}
_AT_WORK = (
    "eventflow_trigger_lag_records",
    "eventflow_runner_lag_records",
    "eventflow_runner_running",
)
TAKEN_OVER = "eventflow_run_take_overs_total"
ENDED = "eventflow_runs_ended_total"
RECOVERED = "eventflow_completions_recovered_total"


@dataclass
class Stage:
    """Two services of each kind at any time, more or less. `refused` counts the commits that
    zombies tried and were refused; `said` is what was done, and when."""

    installation: Installation
    kafka: KafkaServer
    s3: S3Server
    topics: str
    shape: Shape
    members: dict[str, list[Member]] = field(default_factory=lambda: {TRIGGER: [], RUNNER: []})
    former: list[Member] = field(default_factory=list)
    refused: int = 0
    said: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.tasks = TaskWatch(self.shape.lease)
        self._began = time.monotonic()
        self._count = threading.Lock()

    # -- what there is ---------------------------------------------------------------------------

    @property
    def everybody(self) -> list[Member]:
        """All that were ever started."""
        return [*self.former, *self.members[TRIGGER], *self.members[RUNNER]]

    @property
    def recovered(self) -> int:
        """Completions published from an `end.json` that stood without notice."""
        return int(sum(each.last[RECOVERED] for each in self.everybody))

    @property
    def taken_over(self) -> int:
        """Take-overs of runs, as the runners count them."""
        return int(sum(each.last[TAKEN_OVER] for each in self.everybody))

    @property
    def achieved(self) -> float:
        """Ends of runs that were published."""
        return sum(each.last[ENDED] for each in self.everybody)

    @property
    def aborted(self) -> int:
        """Aborted transactions, by the broker's own files."""
        assert self.kafka.folder is not None
        return len(aborted_transactions(self.kafka.folder / "data", self.topics))

    def count_refused(self, commits: float) -> None:
        """So many commits of a zombie were refused."""
        with self._count:
            self.refused += int(commits)

    def say(self, what: str) -> None:
        """Keep what was done, for the message of a failed run."""
        self.said.append(f"{self.lasted_s:6.1f} s  {what}")

    @property
    def lasted_s(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._began

    @property
    def at_work(self) -> str:
        """What is left to decide, to accept or to execute, by their last words; empty: nothing."""
        members = [*self.members[TRIGGER], *self.members[RUNNER]]
        silent = [each.process.pid for each in members if not each.last]
        if silent:
            return f"{silent} have yet to say how they are"
        left = {
            f"{metric} of {each.process.pid}": each.last[metric]
            for each in members
            for metric in _AT_WORK
        }
        return ", ".join(f"{name} is {value:g}" for name, value in left.items() if value)

    # -- what can be done ------------------------------------------------------------------------

    def start(self, kind: str, fault: str = "") -> Member:
        """Another one, with a planted fault or none."""
        server = self.installation.cluster.start(kind, EVENTFLOW_FAULT=fault)
        found = process(server.pid)
        assert found is not None, f"{kind} ended at once: {server.log.read_text()}"
        member = Member(kind, server, found)
        self.members[kind].append(member)
        if kind == RUNNER:
            self.tasks.watch(found)
        return member

    def kill(self, member: Member) -> None:
        """SIGKILL, or bury one that has died."""
        member.look()
        self.members[member.kind].remove(member)
        self.former.append(member)
        self.installation.cluster.kill(member.server)

    def revive(self, kind: str) -> None:
        """What whatever supervises a service does: one that has ended begins again."""
        for each in tuple(self.members[kind]):
            if not each.process.is_alive:
                self.replace(each)

    def replace(self, member: Member, fault: str = "") -> Member:
        """Kill it, and start another in its place."""
        self.kill(member)
        return self.start(member.kind, fault)

    def pick(self, kind: str, chance: random.Random) -> Member:
        """Any of them."""
        return chance.choice(self.members[kind])

    def other(self, member: Member) -> Member:
        """The one beside it."""
        return next(each for each in self.members[member.kind] if each is not member)

    def owned(self, kind: str) -> float:
        """Partitions owned by all of a kind together, by their last words."""
        return sum(each.last[OWNED[kind]] for each in self.members[kind])

    def owns_all(self, member: Member) -> bool:
        """Whether it owns every partition, by its own word."""
        return member.says(OWNED[member.kind]) == PARTITIONS

    def within(self, condition: Callable[[], object], patience: timedelta) -> bool:
        """Whether it became true in that time. Chaos does not always come out as meant."""
        with suppress(AssertionError):
            return bool(eventually(condition, patience.total_seconds()))
        return False

    def wait(self, span: timedelta) -> None:
        """Let time pass; at the end of all, none."""
        self.is_over.wait(span.total_seconds())

    def look(self) -> None:
        """Look at all processes, tasks and metrics."""
        self.tasks.look()
        for each in (*self.members[TRIGGER], *self.members[RUNNER]):
            each.look()

    def calm(self) -> None:
        """Everybody is alive, nobody is stopped."""
        for kind, members in self.members.items():
            for each in members:
                each.server.resume()
            self.revive(kind)

    def logs(self) -> str:
        """The end of what each service said, those included that are gone."""
        return "\n".join(
            f"-- {each.kind} {each.process.pid}\n{_tail(each.server.log)}"
            for each in self.everybody
        )


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
