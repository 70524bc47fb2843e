"""One chaos run, from empty servers to the proof over its history.

Four hands act at once: one on the trigger services, one on the runners, one on the servers, and
the publisher. When it was long enough, and the figures are there, all is left alone until every
run has ended; then the history is checked.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from eventflow import deploy
from eventflow.authoring.deploy_context import DeployContext
from eventflow.context import world
from tests.acceptance.installation import on_kafka_and_s3
from tests.chaos.figures import Figures
from tests.chaos.flows.echo import Echo
from tests.chaos.flows.follow import Follow
from tests.chaos.flows.ingest import Ingest
from tests.chaos.flows.pair import Pair
from tests.chaos.hand import Hand, ServerHand, ServiceHand
from tests.chaos.proof import HOMES, Proof
from tests.chaos.publisher import Publisher
from tests.chaos.record import ReadOnce, versions
from tests.chaos.shape import Shape
from tests.chaos.stage import PARTITIONS, RUNNER, TRIGGER, Stage
from tests.servers.kafka import KafkaServer
from tests.servers.s3 import S3Server
from tests.support.eventually import eventually
from tests.support.history import History

BUCKET, TOPICS = "chaos", "chaos."
SETTINGS = {"EVENTFLOW_RUNNER__SLOTS": "4"}  # more than cores: most of them only wait
_UNTIL_ENDED_S = 240
_UNTIL_DEPLOYED_S = 90
_REST, _SERVERS_REST = timedelta(seconds=2), timedelta(seconds=30)
_LOOK = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers of its own, running; the S3 server keeps versions."""

    kafka: KafkaServer
    s3: S3Server


def run(shape: Shape, seed: int, folder: Path, servers: Servers) -> Figures:
    """Make chaos, and prove its history.

    Raises:
        AssertionError: the history is wrong, or shows too little; with what was done, and when.
    """
    servers.s3.create_bucket(BUCKET)
    servers.s3.client().put_bucket_versioning(
        Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )
    made = on_kafka_and_s3(
        folder, servers.kafka, servers.s3, BUCKET, TOPICS, **shape.settings, **SETTINGS
    )
    stage = Stage(made, servers.kafka, servers.s3, TOPICS, shape)
    try:
        return _Chaos(stage, seed).run()
    except BaseException as error:
        error.add_note(f"seed {seed}; what was done:\n" + "\n".join(stage.said))
        error.add_note(stage.logs())
        raise
    finally:
        stage.is_over.set()
        made.cluster.stop()


class _Chaos:
    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        kinds = ("publisher", TRIGGER, RUNNER, "servers")
        # Each its own: what one hand does takes nothing from the chance of another.
        chance = {kind: random.Random(f"{seed} {kind}") for kind in kinds}
        self._publisher = Publisher(chance["publisher"])
        acts = {kind: ServiceHand(stage, chance[kind], kind).acts() for kind in (TRIGGER, RUNNER)}
        acts["servers"] = ServerHand(stage, chance["servers"], self._redeploy).acts()
        rests = {"servers": _SERVERS_REST}
        self._hands = [
            Hand(stage, chance[kind], each, rest=rests.get(kind, _REST))
            for kind, each in acts.items()
        ]

    def run(self) -> Figures:
        stage = self._stage
        with stage.installation.connected(), ThreadPoolExecutor(8) as pool:
            self._deploy_all()
            for kind in (TRIGGER, RUNNER) * 2:
                stage.start(kind)
            self._watch([], lambda: stage.owned(TRIGGER) == stage.owned(RUNNER) == PARTITIONS)
            publishing = pool.submit(self._publisher.run, stage.is_over, stage.shape.between)
            busy = [publishing, *(pool.submit(hand.act) for hand in self._hands)]
            try:
                self._watch(busy, lambda: self._is_enough)
            finally:
                stage.is_over.set()
            self._watch(busy, lambda: all(each.done() for each in busy))
        return self._proven()

    def _deploy_all(self) -> None:
        for flow in (Ingest, Follow, Echo, Pair):
            for home in HOMES:
                _deploy(flow, home)

    def _redeploy(self) -> None:
        """Another version of what is started most, and of a join, which goes on: its trigger is
        the same."""
        _deploy(Ingest, HOMES[0])
        _deploy(Pair, HOMES[1])

    def _watch(self, busy: list[Future[None]], is_enough: Callable[[], bool]) -> None:
        """Look, until it is enough; what a hand fell over ends the run."""
        while not is_enough():
            self._stage.look()
            for each in wait(busy, _LOOK.total_seconds(), FIRST_EXCEPTION).done:
                each.result()

    @property
    def _is_enough(self) -> bool:
        stage = self._stage
        lasted = timedelta(seconds=stage.lasted_s)
        if lasted < stage.shape.seconds:
            return False
        is_shown = (
            all(hand.is_through for hand in self._hands)
            and not self._figures(stage.taken_over).short
        )
        return is_shown or lasted > stage.shape.at_most

    def _figures(self, taken_over: int) -> Figures:
        stage = self._stage
        return Figures(
            aborted=stage.aborted,
            refused=stage.refused,
            taken_over=taken_over,
            recovered=stage.recovered,
            tasks_that_lost_their_runner=stage.tasks.lost,
            published=len(self._publisher.acknowledged),
        )

    def _proof(self) -> Proof:
        stage = self._stage
        made = stage.installation.history
        prefix = f"{TOPICS}store/"
        return Proof(
            History(ReadOnce(made.log), made.objects),
            tuple(self._publisher.acknowledged),
            lambda: versions(stage.s3.client(), BUCKET, prefix),
        )

    def _proven(self) -> Figures:
        stage, history = self._stage, self._stage.installation.history
        expected = self._proof().expected_runs
        stage.say(f"calm: {self._figures(stage.taken_over)}; {expected} runs have to end")

        def is_all_ended() -> bool:
            stage.calm()
            stage.look()
            ended = history.completions().total()
            assert ended >= expected, f"{ended} of {expected} runs; {stage.at_work}"
            assert not stage.at_work, stage.at_work
            return True

        eventually(is_all_ended, _UNTIL_ENDED_S, "not everything has ended")
        proof = self._proof()
        figures = self._figures(proof.taken_over)
        stage.say(str(figures))
        proof.check()
        assert not stage.tasks.outlived, stage.tasks.outlived
        assert not figures.short, f"the chaos was too small: {figures.short}"
        return figures


def _deploy(flow: type, home: str) -> None:
    """As `python flow.py deploy` does it, without waiting for an echo: whoever would answer may
    be dead."""
    connected = world()
    file = Path(inspect.getfile(flow))
    context = DeployContext(flow.__name__, "tester", home)
    new, archive = deploy.evaluate(connected, flow, file, context)
    # A broker that has just begun may need longer than a patience for its first transaction.
    eventually(
        lambda: deploy.deploy(connected, new, archive, echo=timedelta()),
        _UNTIL_DEPLOYED_S,
        f"{flow.__name__} is not deployed",
    )
