"""The people and jobs of a simulated installation, each a process that sees its act through.

A publish without an answer is repeated with the same record, as a job does that was told to be
sure; so is one whose process died. A deploy that failed is tried again. What was acknowledged is
written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from eventflow.bus.reading import read_to_end
from eventflow.deploy import NewVersion, delete, deploy
from eventflow.errors import DeployFenced, NotFound
from eventflow.model.deployment import CodePackage
from eventflow.model.event import EventRecord
from eventflow.model.log import NewRecord, TopicPartition
from eventflow.model.namespace import Namespace
from eventflow.model.occurrence import JSON
from eventflow.model.run import RunRequest
from eventflow.requesting import cancel_run
from eventflow.store.blobs import digest_of
from eventflow.store.layout import RunPlace
from eventflow.store.runs import place_of
from tests.simulation.history import SENT_AGAIN, Cancelled, Published
from tests.simulation.service_process import AWAY, said
from tests.simulation.universe import Crashed
from tests.simulation.workload import Cancel, Delete, Deploy, Publish, SendAgain, Which

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventflow.bus.port import Bus
    from eventflow.model.log import Record
    from tests.simulation.installation import Installation
    from tests.simulation.universe import Process
    from tests.simulation.workload import Act

__all__ = ["CODE", "People"]

_ARCHIVE = b"the code of every flow"
CODE = CodePackage(digest_of(_ARCHIVE), len(_ARCHIVE), "flow.py")
_NOWHERE = RunPlace("shop/prod", "Train", "r-nowhere")
_ECHO = timedelta(seconds=5)
_PAUSE_MS, _DOWN_MS = (50, 3_000), (50, 5_000)


@dataclass
class People:
    """All of them. `why_busy` is empty when every act is done."""

    installation: Installation
    _busy: dict[int, Act] = field(default_factory=dict)

    @property
    def why_busy(self) -> str:
        """Who is not done yet."""
        return f"{len(self._busy)} acts are not done" if self._busy else ""

    def begin(self, acts: Sequence[Act]) -> None:
        """Let every act begin at its time."""
        for number, act in enumerate(acts):
            self._busy[number] = act
            self.installation.universe.later(act.after, partial(self._start, number))

    def _start(self, number: int) -> None:
        act = self._busy[number]
        name = f"{type(act).__name__.lower()}-{number}"
        self.installation.universe.spawn(
            name, partial(self._do, number, act), partial(self._ended, number)
        )

    def _do(self, number: int, act: Act, process: Process) -> None:
        match act:
            case Publish():
                self._publish(number, act, process)
            case Deploy():
                self._deploy(act, process)
            case Delete():
                self._delete(act, process)
            case SendAgain():
                self._send_again()
            case Cancel():
                self._cancel(act, process)

    def _ended(self, number: int, process: Process, died_of: BaseException | None) -> None:
        if died_of is None:
            del self._busy[number]
            return
        if not isinstance(died_of, Crashed):
            self.installation.oddities.append(f"{process.name} ended with {said(died_of)}")
        universe = self.installation.universe
        down = timedelta(milliseconds=universe.random.randint(*_DOWN_MS))
        universe.later(down, partial(self._start, number))

    def _until_done(self, attempt: Callable[[], object]) -> None:
        universe = self.installation.universe
        while True:
            try:
                attempt()
            except (*AWAY, DeployFenced) as error:
                universe.tell(f"tries again: {error}")
                pause = timedelta(milliseconds=universe.random.randint(*_PAUSE_MS))
                universe.wait(pause, lambda: False)
            else:
                return

    # -- publishing ------------------------------------------------------------------------------

    def _publish(self, number: int, act: Publish, process: Process) -> None:
        bus, codec = self.installation.connect(), self.installation.codec
        record = EventRecord(
            id=act.id or f"no-id-{number}",
            id_set=act.id is not None,
            name=act.name,
            namespace=act.namespace,
            payload=act.payload,
            content_type=JSON,
            published_at=process.clock.now(),
            source="etl",
        )

        def attempt() -> None:
            now = replace(record, published_at=process.clock.now())
            (offset,) = bus.publish([codec.new_record(now)])
            done = Published(record.namespace, record.name, record.id, offset)
            self.installation.published.append(done)

        self._until_done(attempt)
        while self.installation.universe.happens("publish.repeated"):
            self._until_done(attempt)
        bus.close()

    # -- deploying -------------------------------------------------------------------------------

    def _deploy(self, act: Deploy, process: Process) -> None:
        world, design = self.installation.world(process), act.design
        new = NewVersion(
            namespace=Namespace.parse(act.namespace),
            graph=design.graph,
            parameters=design.parameters,
            trigger=design.trigger,
            code=CODE,
            deployed_by="somebody",
            schedule=design.schedule,
        )
        self._until_done(lambda: deploy(world, new, _ARCHIVE, echo=_ECHO))
        world.close()

    def _delete(self, act: Delete, process: Process) -> None:
        world, namespace = self.installation.world(process), Namespace.parse(act.namespace)

        def attempt() -> None:
            try:
                delete(world, namespace, act.flow, echo=_ECHO)
            except NotFound as error:
                self.installation.universe.tell(f"nothing to delete: {error}")

        self._until_done(attempt)
        world.close()

    # -- operating -------------------------------------------------------------------------------

    def _send_again(self) -> None:
        bus = self.installation.connect()

        def attempt() -> None:
            found = self._requests(bus)
            if found:
                record = self.installation.universe.random.choice(found)
                key, headers = record.key or b"", (*record.headers, SENT_AGAIN)
                again = NewRecord(record.topic, key, record.value, headers, record.partition)
                bus.publish([again])

        self._until_done(attempt)
        bus.close()

    def _requests(self, bus: Bus) -> list[Record]:
        """Partition by partition."""
        topics = self.installation.topics
        where = [TopicPartition(topics.run_requests, n) for n in range(topics.run_partitions)]
        return [record for each in where for record in read_to_end(bus, each)]

    # -- cancelling ------------------------------------------------------------------------------

    def _cancel(self, act: Cancel, process: Process) -> None:
        world, universe = self.installation.world(process), self.installation.universe
        chosen: list[RunPlace] = []
        self._until_done(lambda: chosen.extend(self._choice(act.which, world.bus)))
        for place in chosen * act.times:
            self._until_done(partial(cancel_run, world, place))
            cancelled = Cancelled(universe.stamp(), place.run_id)
            self.installation.cancelled.append(cancelled)
        world.close()

    def _choice(self, which: Which, bus: Bus) -> list[RunPlace]:
        """One run, or none when nothing was requested yet."""
        if which is Which.NONE:
            return [_NOWHERE]
        found = sorted(self._requests(bus), key=lambda each: each.appended_at)
        if not found:
            return []
        last = found[-1] if which is Which.LAST else self.installation.universe.random.choice(found)
        request = self.installation.codec.decode(last.value or b"")
        assert isinstance(request, RunRequest)
        return [place_of(request)]
