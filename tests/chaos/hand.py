"""A hand of the chaos: does each of its acts once, in an order by chance, then goes on at random.

A directed act waits at a chosen moment until what it is for has happened, or gives it up: what
counts is what the history shows in the end.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import timedelta

from eventflow.execution.driver import FAULT_POINTS as DRIVER
from eventflow.services.runner import FAULT_POINTS as RUNNER_POINTS
from eventflow.services.trigger import FAULT_POINTS as TRIGGER_POINTS
from tests.chaos.flows.ingest import LONG_S
from tests.chaos.member import Member
from tests.chaos.stage import REFUSED, RUNNER, TRIGGER, Stage
from tests.servers.processes import ServerFailed
from tests.support.eventually import eventually

Acts = Mapping[str, Callable[[], None]]

_BROKER_S = 120
_BREATH = timedelta(seconds=20)
_UNTIL_THERE = timedelta(seconds=30)
_UNTIL_SEEN = timedelta(seconds=20)
_RARE = frozenset({"runner.said-gone", "runner.reported", "trigger.stored"})
_ENDED = ("runner.end-decided", "runner.marked-successful")
_POINTS = {
    TRIGGER: [each for each in TRIGGER_POINTS if each not in _RARE],
    RUNNER: [each for each in (*RUNNER_POINTS, *DRIVER) if each not in _RARE],
}
_OPEN = {TRIGGER: "trigger.appended", RUNNER: "runner.appended"}


class Hand:
    """Some acts, and the chance that chooses among them."""

    def __init__(self, stage: Stage, chance: random.Random, acts: Acts, *, rest: timedelta) -> None:
        self._stage, self._chance, self._acts, self._rest = stage, chance, acts, rest
        self._todo = chance.sample(sorted(acts), len(acts))

    @property
    def is_through(self) -> bool:
        """Whether each act was done once."""
        return not self._todo

    def act(self) -> None:
        """Go on until the stage is over."""
        while not self._stage.is_over.is_set():
            name = self._todo[-1] if self._todo else self._chance.choice(sorted(self._acts))
            self._stage.say(f"begins: {name}")
            self._acts[name]()
            self._stage.say(f"ends: {name}")
            if self._todo and not self._stage.is_over.is_set():
                self._todo.pop()
            self._stage.wait(self._rest * self._chance.random())
            self._breathe()

    def _breathe(self) -> None:
        """Until something has been achieved again: where nothing goes on, nothing can break."""
        stage, before = self._stage, self._stage.achieved
        stage.within(lambda: stage.is_over.is_set() or stage.achieved > before, _BREATH)


class ServiceHand:
    """What is done to the services of one kind; there are always two, so that one goes on."""

    def __init__(self, stage: Stage, chance: random.Random, kind: str) -> None:
        self._stage, self._chance, self._kind = stage, chance, kind

    def acts(self) -> Acts:
        """By name, those that a runner alone can suffer with it."""
        common: dict[str, Callable[[], None]] = {
            "zombie": self._make_zombie,
            "zombie again": self._make_zombie,
            "killed with an open transaction": self._kill_with_open_transaction,
            "killed at a fault point": self._kill_at_a_point,
            "paused for a moment": self._pause,
        }
        if self._kind == RUNNER:
            common |= {
                "killed after an end": self._kill_after_an_end,
                "killed at work": self._kill_at_work,
            }
        return {f"{self._kind}: {name}": act for name, act in common.items()}

    def _make_zombie(self) -> None:
        """Stopped with an open batch, past session and lease; then it goes on and commits it."""
        stage, zombie = self._stage, self._struck(_OPEN[self._kind], most=4, how=":stop")
        if not zombie.process.is_stopped:
            return
        before = zombie.last[REFUSED[self._kind]]
        successor = stage.other(zombie)
        stage.wait(max(stage.shape.session, self._patience_of_others) * 1.25)
        stage.within(
            lambda: stage.owns_all(successor) or not successor.process.is_alive, _UNTIL_SEEN
        )
        zombie.server.resume()
        stage.within(lambda: zombie.says(REFUSED[self._kind]) > before, _UNTIL_SEEN)
        stage.count_refused(zombie.last[REFUSED[self._kind]] - before)

    @property
    def _patience_of_others(self) -> timedelta:
        return self._stage.shape.lease if self._kind == RUNNER else timedelta()

    def _kill_with_open_transaction(self) -> None:
        """Whose successor aborts it."""
        self._stage.replace(self._struck(_OPEN[self._kind], most=4, how=":stop"))

    def _kill_at_a_point(self) -> None:
        self._stage.replace(self._struck(self._chance.choice(_POINTS[self._kind]), most=3))

    def _pause(self) -> None:
        """Not so long that anybody notices."""
        member, session = self._pick(), self._stage.shape.session
        member.server.pause()
        self._stage.wait(session * self._chance.uniform(0.1, 0.7))
        member.server.resume()

    def _kill_after_an_end(self) -> None:
        """An `end.json` stands, and nobody has told of it: another runner does."""
        stage, before = self._stage, self._stage.recovered
        stage.replace(self._struck(self._chance.choice(_ENDED), most=3))
        stage.within(lambda: stage.recovered > before, stage.shape.lease + _UNTIL_SEEN)

    def _kill_at_work(self) -> None:
        """While it has tasks: its runs go on elsewhere, in the next epoch."""
        stage, member = self._stage, self._pick()
        stage.within(lambda: stage.tasks.tasks_of(member.process), _UNTIL_THERE)
        stage.wait(timedelta(seconds=self._chance.uniform(0, LONG_S / 3)))
        stage.replace(member)

    def _pick(self) -> Member:
        self._stage.revive(self._kind)
        return self._stage.pick(self._kind, self._chance)

    def _struck(self, point: str, *, most: int, how: str = "") -> Member:
        """One that has got to its fault, in general; or ended because a server is away."""
        fault = f"{point}:{self._chance.randint(1, most)}{how}"
        member = self._stage.replace(self._pick(), fault)
        is_struck = self._stage.within(lambda: not member.is_running, _UNTIL_THERE)
        self._stage.say(f"{fault}: {'there' if is_struck else 'not there'}")
        return member


class ServerHand:
    """What is done to the servers, and to what is deployed."""

    def __init__(self, stage: Stage, chance: random.Random, redeploy: Callable[[], None]) -> None:
        self._stage, self._chance, self._redeploy = stage, chance, redeploy

    def acts(self) -> Acts:
        """By name."""
        return {
            "broker killed": self._kill_broker,
            "S3 server killed": self._kill_store,
            "redeployed": self._deploy_again,
        }

    def _kill_broker(self) -> None:
        self._wait(10, 20)
        broker = self._stage.kafka
        broker.kill()
        self._wait(0, 2)
        try:
            broker.restart()
        except ServerFailed:  # a busy machine takes longer than a minute for it
            eventually(broker.answers, _BROKER_S, "the broker does not come back")

    def _kill_store(self) -> None:
        self._wait(4, 12)
        self._stage.s3.kill()
        self._wait(0, 5)
        self._stage.s3.restart()

    def _deploy_again(self) -> None:
        self._wait(4, 12)
        self._redeploy()

    def _wait(self, least: float, most: float) -> None:
        self._stage.wait(timedelta(seconds=self._chance.uniform(least, most)))
