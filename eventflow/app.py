"""The composition root: settings → connected objects. The only place that names a backend."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from eventflow.context import Makers, World
from eventflow.effects import Effects, planted
from eventflow.errors import InvalidSettings
from eventflow.model.topics import Topics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from eventflow.bus.port import Bus
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.codec.codec import Codec
    from eventflow.execution.local import LocalExecutor
    from eventflow.metrics import RunnerMetrics
    from eventflow.services.log_parts import LogParts
    from eventflow.services.runner import Runner
    from eventflow.services.trigger import TriggerService
    from eventflow.settings import Settings
    from eventflow.store.port import Store

__all__ = [
    "connect",
    "connect_task",
    "expect_publishing",
    "local_executor",
    "make_bus",
    "make_store",
    "prepare",
    "runner",
    "trigger_service",
]

_FOLDER = "file:///"


def connect(settings: Settings | None = None, *, is_prepared: bool = False) -> World:
    """The world that the settings describe; nothing is contacted yet.

    With `is_prepared`, topics and schemas are taken to be there: a task process of a runner,
    whose start has seen to it.
    """
    from eventflow.settings import Settings

    _log_warnings_to_stderr()
    read = settings or Settings.load()
    count = read.partition_count
    return World(
        topics=Topics(read.topic_prefix, count, count),
        effects=_effects(),
        allow_pickle=read.store.allow_pickle,
        makers=Makers(
            settings=lambda: read,
            bus=_plain_bus if is_prepared else _prepared_bus,
            store=lambda world: make_store(world.settings),
            codec=_codec,
            decoder=_decoder,
        ),
    )


def prepare(world: World) -> None:
    """Connect bus and store, and refuse what eventflow cannot be built on, before serving.

    Raises:
        OperatorError: topics differ, or the store decides nothing; the message says what to do.
    """
    from eventflow.store.probe import probe

    probe(world.store, world.effects.ids)
    world.bus.topic(world.topics.events)


def make_bus(settings: Settings) -> Bus:
    """The Kafka cluster when there is one in the settings, else the embedded bus."""
    if settings.is_embedded:
        from eventflow.bus.sqlite import SqliteBus

        return SqliteBus(settings.folder)
    from eventflow.bus.kafka import KafkaBus

    return KafkaBus(settings.kafka)


def make_store(settings: Settings) -> Store:
    """S3 when the URL says so, else a folder."""
    url = settings.store.url or ""
    if url.startswith("s3://"):
        from eventflow.store.s3 import S3Store

        return S3Store(settings.store)
    if not url:
        url = _made(settings.folder / "store").as_uri()
    if not url.startswith(_FOLDER):
        raise InvalidSettings(
            f"EVENTFLOW_STORE__URL={url}: use s3://bucket[/prefix] or file:///folder."
        )
    return _folder_store(url)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(
            f"The state folder {folder.parent} cannot be made or written to: {error}. Set"
            " EVENTFLOW_HOME to one that can."
        ) from error
    return folder


def _folder_store(url: str, *, sweeps: bool = True) -> Store:
    from eventflow.store.local import LocalStore

    return LocalStore(Path(unquote(urlsplit(url).path)), sweeps=sweeps)


def trigger_service(world: World, registry: CollectorRegistry) -> TriggerService:
    """A trigger service."""
    from eventflow.bus.deployment_log import DeploymentLog
    from eventflow.metrics import TriggerMetrics
    from eventflow.services.trigger import TriggerParts, TriggerService

    log = _log_parts(world)
    return TriggerService(
        TriggerParts(
            log=log,
            store=world.store,
            deployments=DeploymentLog(log.bus, log.decoder, log.topics),
            settings=world.settings.trigger,
            metrics=TriggerMetrics(registry),
        )
    )


def runner(world: World, registry: CollectorRegistry) -> Runner:
    """A runner with the local executor."""
    from eventflow.bus.deployment_log import DeploymentLog
    from eventflow.execution.driver import RunLimits
    from eventflow.metrics import RunnerMetrics
    from eventflow.services.presence import Host, Presence
    from eventflow.services.runner import Runner
    from eventflow.services.runner_parts import RunnerParts
    from eventflow.services.slots import Slots
    from eventflow.services.task_states import TaskStates

    settings, metrics, log = world.settings.runner, RunnerMetrics(registry), _log_parts(world)
    count = settings.slots or os.cpu_count() or 1
    task_states = TaskStates(log.bus, log.codec, log.effects)
    slots = Slots(
        count,
        store=world.store,
        executor=local_executor(world, is_prepared=True, metrics=metrics),
        cache=world.settings.folder / "cache",
        effects=world.effects,
        metrics=metrics,
        on_task_state=task_states.add,
        limits=RunLimits(settings.max_workers, settings.max_num_splits),
    )
    return Runner(
        RunnerParts(
            log=log,
            store=world.store,
            deployments=DeploymentLog(log.bus, log.decoder, log.topics),
            presence=Presence(log, settings, Host.here(), count),
            slots=slots,
            task_states=task_states,
            settings=settings,
            metrics=metrics,
        )
    )


def _log_parts(world: World) -> LogParts:
    from eventflow.services.log_parts import LogParts

    # Each service has a decoder of its own: it is used by one thread.
    return LogParts(world.bus, world.codec, _decoder(world), world.topics, world.effects)


def local_executor(
    world: World, *, is_prepared: bool = False, metrics: RunnerMetrics | None = None
) -> LocalExecutor:
    """Tasks as forks of warm templates on this machine.

    With `is_prepared`, a task that publishes takes topics and schemas to be there. Builds of
    environments are counted in `metrics`.
    """
    from eventflow.execution.environments.builders import Builders
    from eventflow.execution.local import LocalExecutor

    settings = world.settings
    placed = settings.model_copy(update={"home": settings.folder})
    told = {
        "settings": placed.model_dump(mode="json"),
        "folder": str(settings.folder),
        "store": world.store.url,
        "topics": [world.topics.prefix, world.topics.event_partitions, world.topics.run_partitions],
        "allow_pickle": world.allow_pickle,
        "is_prepared": is_prepared,
    }
    # -P: the working directory is the flow's, whose files must not stand in for the library's.
    program = [sys.executable, "-P", "-m"]
    builders = Builders(
        [*program, "eventflow.cli.environment"],
        json.dumps(told),
        settings.folder / "cache",
        world.store.url,
        on_end=metrics.environment_ended if metrics else lambda *_: None,
    )
    return LocalExecutor(
        [*program, "eventflow.cli.template"],
        json.dumps(told),
        world.effects,
        builders,
        lease=settings.runner.lease,
        templates=settings.runner.templates,
    )


def connect_task(told: str) -> World:
    """The world of a process that `local_executor` made, by what that told it.

    It reads no settings and imports no codec until they are used: most tasks never do, and what
    is imported in a template is copied with every fork. What the process starts finds the same
    state folder: its working directory is another.
    """
    content = json.loads(told)
    os.environ["EVENTFLOW_HOME"] = content["folder"]
    return World(
        topics=Topics(*content["topics"]),
        effects=_effects(),
        allow_pickle=content["allow_pickle"],
        makers=Makers(
            settings=lambda: _told_settings(content["settings"]),
            bus=_plain_bus if content["is_prepared"] else _prepared_bus,
            store=lambda world: _told_store(content["store"], world),
            codec=_codec,
            decoder=_decoder,
        ),
    )


def expect_publishing(world: World) -> None:
    """Import what a task publishes with, once, in its template; contacts nothing.

    Not the Kafka client: it does not survive a fork.
    """
    _log_warnings_to_stderr()
    _ = world.codec
    if world.settings.is_embedded:
        import_module("eventflow.bus.sqlite")


def _told_settings(told: dict[str, Any]) -> Settings:
    from eventflow.settings import Settings

    return Settings.load(**told)


def _told_store(url: str, world: World) -> Store:
    """A folder is there or broken; a server may be away for a while, and is waited for."""
    if url.startswith(_FOLDER):
        return _folder_store(url, sweeps=False)  # who starts tasks does it
    from eventflow.store.patient import PatientStore

    return PatientStore(make_store(world.settings))


def _plain_bus(world: World) -> Bus:
    _log_warnings_to_stderr()
    return make_bus(world.settings)


def _prepared_bus(world: World) -> Bus:
    from eventflow.bus.schema_topic import publish_schemas

    bus = _plain_bus(world)
    bus.ensure(world.topics.specs(), create=world.settings.create_topics)
    publish_schemas(bus, world.codec, world.topics)
    return bus


def _codec(world: World) -> Codec:
    from eventflow.codec.codec import Codec

    return Codec(world.topics)


def _decoder(world: World) -> SchemaLookup:
    from eventflow.bus.schema_topic import SchemaLookup

    return SchemaLookup(world.bus, world.codec, world.topics)


def _effects() -> Effects:
    fault = os.environ.get("EVENTFLOW_FAULT")
    return replace(Effects(), faults=planted(fault)) if fault else Effects()


def _log_warnings_to_stderr() -> None:
    """Stdout belongs to the user's program; one that configured structlog has its own way."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        )
