"""Deploying: a version of a flow becomes live at a mark in the event log (docs/protocols.md §4).

1. The versions of the packages of its steps are decided, and the code package and the included
files go into the store. 2. The deployment's transactional id is taken over, so that of two deploys
at once one is fenced. 3. One transaction: the Deployment, whole, and an Activation to every source.
4. The trigger service's echo is waited for. Records after the mark are handled by the new version,
records before it by the one before; also those published before the echo, so a deploy without a
running trigger service is no error.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from eventflow.authoring.configs import with_configs
from eventflow.authoring.decorator_problems import inline_secret_problems
from eventflow.authoring.graph import graph_of
from eventflow.authoring.included_files import read_files, store_files
from eventflow.authoring.own_tags import own_tags
from eventflow.authoring.parameters import parameter_specs
from eventflow.authoring.triggers import compile_schedule, compile_trigger
from eventflow.bus.reading import read_to_end
from eventflow.errors import (
    Ambiguous,
    DeployFenced,
    Fenced,
    InvalidFlow,
    NotFound,
    UndecodableRecord,
)
from eventflow.execution.code import package, store_package
from eventflow.execution.environments.lock import lock_steps
from eventflow.model.decision import Decision, Verdict
from eventflow.model.deployment import Activation, Deployment
from eventflow.model.log import TopicPartition, partition_of
from eventflow.model.namespace import Namespace
from eventflow.model.offset import Offset
from eventflow.model.run import run_id_of
from eventflow.model.state import ActiveVersion, Timer
from eventflow.model.tags import check_tags
from eventflow.model.task import TaskKey
from eventflow.store.keys import check_key
from eventflow.store.layout import RunPlace, flow_key, lineage_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.bus.port import Writer
    from eventflow.context import World
    from eventflow.model.deployment import CodePackage, ParameterSpec
    from eventflow.model.graph import FlowGraph
    from eventflow.model.log import Record
    from eventflow.model.timetable import Timetable
    from eventflow.model.trigger import Trigger

__all__ = [
    "FAULT_POINTS",
    "Deployed",
    "NewVersion",
    "delete",
    "deploy",
    "evaluate",
    "find_version",
    "next_due_times",
    "sources",
    "versions",
    "versions_in_force",
]

FAULT_POINTS = (
    "deploy.package-stored",
    "deploy.acquired",
    "deploy.appended",
    "deploy.committed",
)

_TAKE_OVER = timedelta(seconds=10)
_ECHO = timedelta(seconds=10)
_MANY = 9999
_POLL = timedelta(milliseconds=200)
_ECHOES = (Verdict.ACTIVATED, Verdict.DELETED)

State = TypeVar("State", ActiveVersion, Timer)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is to be deployed, evaluated by the deploying process. `files` has the contents of the
    included files, by parameter; their references become the defaults of these."""

    namespace: Namespace
    graph: FlowGraph
    parameters: tuple[ParameterSpec, ...]
    trigger: Trigger | None
    code: CodePackage
    deployed_by: str
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    schedule: Timetable | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A mark that stands. `marks` are the offsets from which it takes effect, one a source;
    `is_in_force` says that the trigger service has passed them all."""

    namespace: str
    flow: str
    version: int
    marks: tuple[Offset, ...]
    is_in_force: bool


def evaluate(
    world: World,
    flow_class: type,
    file: Path,
    context: DeployContext,
    suffixes: Sequence[str] = (),
    tags: Sequence[str] = (),
    *,
    added: Sequence[Declaration] = (),
) -> tuple[NewVersion, bytes]:
    """What deploying a flow class would make live, and its code package; nothing is written.

    Functions in the flow's declarations are asked here, in the deploying process, and nowhere
    else. `context.namespace` is where the flow will live. Its runs start with `tags`; `added` are
    decorators for each of its steps that has none of the name.

    Raises:
        InvalidFlow, InvalidTrigger, InvalidParameter, InvalidTag: the flow cannot be deployed.
    """
    secrets = list(inline_secret_problems(flow_class))
    if secrets:
        raise InvalidFlow(secrets)
    parameters = parameter_specs(flow_class, context)
    archive, code = package(file, suffixes, leave_out=[world.settings.folder])
    new = NewVersion(
        namespace=Namespace.parse(context.namespace or ""),
        graph=graph_of(flow_class, added),
        parameters=parameters,
        trigger=compile_trigger(flow_class, parameters, context),
        code=code,
        deployed_by=context.user_name,
        files=read_files(flow_class, with_configs(flow_class, context), {}),
        tags=check_tags(tags),
        schedule=compile_schedule(flow_class),
    )
    return new, archive


def deploy(world: World, new: NewVersion, archive: bytes, *, echo: timedelta = _ECHO) -> Deployed:
    """Make a version live; the next number after the highest that stands.

    On return its marks are durable. The echo of the trigger service is waited for up to `echo`.

    Raises:
        InvalidName: its names are too long for the keys of its runs; nothing was changed.
        InvalidPackages, EnvironmentUnavailable: the packages of a step cannot be had; nothing was
            changed.
        DeployFenced: another deploy of the flow took over; nothing was changed.
    """
    _check_keys(new)
    lock_steps(world.store, world.effects, new.namespace.project, new.graph)
    store_package(world.store, new.namespace.project, archive, new.code)
    files = store_files(world.store, new.namespace.project, new.files)
    parameters = tuple(
        replace(each, default=files.get(each.name, each.default)) for each in new.parameters
    )
    world.effects.faults.reach("deploy.package-stored")

    def write(number: int) -> Sequence[Deployment | Activation]:
        now = world.effects.clock.now()
        version = Deployment(
            namespace=str(new.namespace),
            flow=new.graph.flow,
            version=number + 1,
            graph=new.graph,
            parameters=parameters,
            trigger=new.trigger,
            code=new.code,
            deployed_at=now,
            deployed_by=new.deployed_by,
            tags=new.tags,
            system_tags=own_tags(new.deployed_by),
            schedule=new.schedule,
        )
        return [version, *_marks(new.namespace, version.flow, version.version, at=now)]

    return _mark(world, new.namespace, new.graph.flow, write, echo)


def delete(world: World, namespace: Namespace, flow: str, *, echo: timedelta = _ECHO) -> Deployed:
    """End new starts of a flow in a namespace; requested runs go on, versions stay readable.

    Raises:
        NotFound: no version of it was ever deployed there.
        DeployFenced: another deploy of the flow took over; nothing was changed.
    """

    def write(number: int) -> Sequence[Deployment | Activation]:
        if number == 0:
            raise NotFound(
                f"{flow} is not deployed in {namespace}; see `eventflow deployments list`."
            )
        now = world.effects.clock.now()
        return _marks(namespace, flow, number, at=now, is_deleted=True)

    return _mark(world, namespace, flow, write, echo)


def versions(world: World) -> Iterator[Deployment]:
    """Every version that was ever deployed, in the order in which it was."""
    for record in read_to_end(world.bus, TopicPartition(world.topics.deployments, 0)):
        version = _decoded(world, record)
        if isinstance(version, Deployment):
            yield version


def _decoded(world: World, record: Record) -> object | None:
    """None also for what cannot be decoded: whose it is, who consumes the topic gives it up."""
    try:
        return None if record.value is None else world.decoder.decode(record.value)
    except UndecodableRecord:
        return None


def _check_keys(new: NewVersion) -> None:
    """Refuse here what would fail in every run."""
    flow, namespace = new.graph.flow, str(new.namespace)
    place = RunPlace(namespace, flow, run_id_of(namespace, flow, ()))
    tasks = [TaskKey(_MANY, step.name, attempt=_MANY) for step in new.graph.steps]
    several = [Offset("events", "id", 0, each) for each in (0, 1)]
    check_key(flow_key(namespace, flow))
    check_key(place.downstream(namespace, flow, place.run_id))
    check_key(lineage_key(several, namespace, flow, place.run_id))
    for task in tasks:
        check_key(place.artifacts(task))


def sources(namespace: Namespace) -> tuple[Namespace, Namespace]:
    """The namespaces whose events a deployment can hear: its own, and its whole project's."""
    return namespace, namespace.project_wide


def _marks(
    namespace: Namespace, flow: str, version: int, *, at: datetime, is_deleted: bool = False
) -> list[Deployment | Activation]:
    return [
        Activation(
            source=str(source),
            namespace=str(namespace),
            flow=flow,
            version=version,
            is_deleted=is_deleted,
            marked_at=at,
        )
        for source in sources(namespace)
    ]


def _mark(
    world: World,
    namespace: Namespace,
    flow: str,
    write: Callable[[int], Sequence[Deployment | Activation]],
    echo: timedelta,
) -> Deployed:
    """Write under the fence of the deployment, then wait for the echo."""
    fence = f"{world.topics.prefix}deploy.{namespace}.{flow}"
    with closing(_Watch(world, namespace)) as watch:
        try:
            with closing(world.bus.writer(fence, timeout=_TAKE_OVER)) as writer:
                world.effects.faults.reach("deploy.acquired")
                records = write(_highest(world, namespace, flow))
                _write(world, writer, records)
        except Fenced as error:
            said = f"Another deploy of {flow} took over; nothing was changed."
            raise DeployFenced(said) from error
        mark = next(record for record in records if isinstance(record, Activation))
        return watch.wait(mark, echo)


def _highest(world: World, namespace: Namespace, flow: str) -> int:
    """The highest number, by the keys: one that cannot be read here has its number all the same."""
    prefix = f"{namespace}/{flow}/"
    partition = TopicPartition(world.topics.deployments, 0)
    keys = [
        (record.key or b"").decode(errors="replace") for record in read_to_end(world.bus, partition)
    ]
    numbers = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def _write(world: World, writer: Writer, records: Sequence[Deployment | Activation]) -> None:
    transaction = writer.begin()
    for record in records:
        transaction.append(world.codec.new_record(record))
    world.effects.faults.reach("deploy.appended")
    transaction.commit().result()
    world.effects.faults.reach("deploy.committed")


class _Watch:
    """Sees the marks of a deploy arrive in `events`, and their echo in `decisions`."""

    def __init__(self, world: World, namespace: Namespace) -> None:
        self._world = world
        count = world.topics.event_partitions
        partitions = {partition_of(str(each).encode(), count) for each in sources(namespace)}
        topics = (world.topics.events, world.topics.decisions)
        where = [TopicPartition(topic, each) for topic in topics for each in partitions]
        self._reader = world.bus.reader({each: world.bus.high_watermark(each) for each in where})
        self._events_id = world.bus.topic(world.topics.events).topic_id

    def wait(self, mark: Activation, patience: timedelta) -> Deployed:
        """Until every source has its mark and, within `patience`, its echo."""
        marks: dict[str, Offset] = {}
        echoes: set[Offset] = set()
        deadline = self._world.effects.clock.elapsed() + patience
        expected = len(sources(Namespace.parse(mark.namespace)))
        while not (len(marks) == expected and echoes.issuperset(marks.values())):
            if self._world.effects.clock.elapsed() > deadline:
                break
            for record in self._records():
                self._take(record, mark, marks, echoes)
        return Deployed(
            mark.namespace,
            mark.flow,
            mark.version,
            tuple(sorted(marks.values())),
            is_in_force=len(marks) == expected and echoes.issuperset(marks.values()),
        )

    def close(self) -> None:
        self._reader.close()

    def _records(self) -> Iterator[Record]:
        for records in self._reader.poll(_POLL).records.values():
            yield from records

    def _take(
        self, record: Record, mark: Activation, marks: dict[str, Offset], echoes: set[Offset]
    ) -> None:
        value = _decoded(self._world, record)
        if isinstance(value, Activation) and replace(value, source=mark.source) == mark:
            marks[value.source] = Offset(
                record.topic, self._events_id, record.partition, record.offset
            )
        elif isinstance(value, Decision) and value.verdict in _ECHOES:
            echoes.add(value.origin)


def versions_in_force(world: World) -> dict[tuple[str, str], int]:
    """(namespace, flow) → the version in force for the events of its own namespace."""
    return {
        (active.namespace, active.flow): active.version
        for active in _standing(world, ActiveVersion)
        if active.source == active.namespace
    }


def next_due_times(world: World) -> dict[tuple[str, str], datetime]:
    """(namespace, flow) → when its schedule is due next; for those that have one in force."""
    return {
        (timer.namespace, timer.flow): timer.due_at
        for timer in _standing(world, Timer)
        if timer.due_at is not None
    }


def find_version(world: World, name: str, version: int | None) -> Deployment:
    """The version of `Flow` or `project/branch/Flow`; the latest without a number.

    Raises:
        NotFound: there is none.
        Ambiguous: a flow of that name lives in several namespaces.
    """
    namespace, _, flow = name.rpartition("/")
    found = [
        each
        for each in versions(world)
        if each.flow == flow
        and namespace in ("", each.namespace)
        and version in (None, each.version)
    ]
    if not found:
        raise NotFound(f"{name} is not deployed; see `eventflow deployments list --all`.")
    places = sorted({each.namespace for each in found})
    if len(places) > 1:
        named = ", ".join(f"{place}/{flow}" for place in places)
        raise Ambiguous(f"{flow} is deployed in several namespaces, name one: {named}.")
    return found[-1]


def _standing(world: World, kind: type[State]) -> Iterator[State]:
    """The records of that kind that stand in `trigger-state`."""
    for partition in range(world.topics.event_partitions):
        standing: dict[bytes | None, State] = {}
        for record in read_to_end(world.bus, TopicPartition(world.topics.trigger_state, partition)):
            standing.pop(record.key, None)
            value = _decoded(world, record)
            if isinstance(value, kind):
                standing[record.key] = value
        yield from standing.values()
