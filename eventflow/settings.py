"""Every setting, with its default: `EVENTFLOW_<NAME>`, nested ones with `__`.

Read once by `app.py` (or the command line) and handed on; nothing else looks at the environment
for a setting. `docs/settings.md` lists them, and a test compares.
"""

from __future__ import annotations

import getpass
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventflow.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "KafkaSettings",
    "RunnerSettings",
    "Settings",
    "StoreSettings",
    "TriggerSettings",
    "state_folder",
    "user_name",
]

_PROTOCOL_KEYS = frozenset(
    {
        "acks",
        "auto.offset.reset",
        "bootstrap.servers",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.protocol",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.poll.interval.ms",
        "message.timeout.ms",
        "partition.assignment.strategy",
        "partitioner",
        "session.timeout.ms",
        "transaction.timeout.ms",
        "transactional.id",
    }
)


def _plain_seconds(value: Any) -> Any:
    """A number, also as text, is seconds; the rest is for pydantic (ISO 8601: PT1M30S)."""
    try:
        return timedelta(seconds=float(value))
    except (TypeError, ValueError):
        return value


Seconds = Annotated[timedelta, BeforeValidator(_plain_seconds), Field(gt=timedelta())]


class KafkaSettings(BaseModel):
    """The Kafka cluster. Without `bootstrap_servers` the bus is the embedded one."""

    bootstrap_servers: str | None = None
    config: dict[str, Any] = Field(
        default_factory=dict, description="further librdkafka settings (SASL, TLS, …), as JSON"
    )
    session: Seconds = Field(timedelta(seconds=6), description="group session timeout")
    heartbeat: Seconds = Field(timedelta(seconds=2), description="group heartbeat interval")
    transaction: Seconds = Field(timedelta(seconds=10), description="transaction timeout")
    patience: Seconds = Field(
        timedelta(seconds=10), description="how long a request waits before it is an error"
    )

    @field_validator("config")
    @classmethod
    def _leave_the_protocol_alone(cls, config: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(_PROTOCOL_KEYS & config.keys())
        if taken:
            raise ValueError(
                f"{', '.join(taken)}: set by eventflow itself, its guarantees hang on it; leave out"
            )
        return config


class StoreSettings(BaseModel):
    """The object store. Without `url` it is the folder `store` in the state folder."""

    url: str | None = Field(None, description="s3://bucket[/prefix] or file:///folder")
    endpoint_url: str | None = Field(None, description="of an S3-compatible server")
    region: str | None = None
    allow_pickle: bool = Field(True, description="false: a reader refuses to unpickle")


class TriggerSettings(BaseModel):
    """The trigger service."""

    batch: int = Field(500, gt=0, description="records of one transaction, at most")
    idle_commit: Seconds = Field(
        timedelta(seconds=1), description="how often the position of unmatched events commits"
    )
    idle_commit_records: int = Field(10_000, gt=0, description="the same, in records")
    join_events: int = Field(10_000, gt=0, description="events that one deployment holds")
    join_bytes: int = Field(64 * 2**20, gt=0, description="bytes that one deployment holds")
    id_window: Seconds = Field(timedelta(hours=24), description="how long an event id is known")
    id_window_ids: int = Field(1_000_000, gt=0, description="ids known per partition, at most")


class RunnerSettings(BaseModel):
    """The runner."""

    slots: int | None = Field(None, gt=0, description="runs at once; default: cores")
    lease: Seconds = Field(timedelta(seconds=30), description="silence after which runs move")
    lease_margin: Seconds = Field(
        timedelta(seconds=5), description="how long before the end of its lease a runner stops"
    )
    heartbeat: Seconds = timedelta(seconds=5)
    grace: Seconds = Field(timedelta(seconds=20), description="for running tasks at a stop")
    max_workers: int = Field(16, gt=0, description="tasks of one run at once")
    max_num_splits: int = Field(10_000, gt=0, description="tasks that one foreach may open")
    templates: int = Field(8, gt=0, description="warm template processes, at most")
    max_take_overs: int = Field(5, gt=0, description="in a row without a newly finished task")


class Settings(BaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(
        env_prefix="EVENTFLOW_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,  # it may hold a password
    )

    home: Path | None = Field(None, description="the state folder; default: .eventflow upwards")
    project: str | None = Field(None, description="project of events published from outside")
    namespace: str | None = Field(None, description="where the client looks; default: anywhere")
    user: str | None = Field(None, description="whose user.<name> branch; default: the login")
    topic_prefix: str = "eventflow."
    partitions: int | None = Field(None, gt=0, description="default: 12; embedded: 4")
    metrics_host: str = Field("127.0.0.1", description="where /metrics is served; 0.0.0.0: all")
    create_topics: bool = Field(True, description="make missing topics at start")
    kafka: KafkaSettings = KafkaSettings()
    store: StoreSettings = StoreSettings()
    trigger: TriggerSettings = TriggerSettings()
    runner: RunnerSettings = RunnerSettings()

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """From the environment.

        Raises:
            InvalidSettings: a value cannot be; the message names the variable.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise InvalidSettings("\n".join(_mistakes(error))) from error
        except ValueError as error:
            raise InvalidSettings(f"The settings cannot be used.\n{error}") from error

    @property
    def is_embedded(self) -> bool:
        """Whether the bus is the embedded one."""
        return self.kafka.bootstrap_servers is None

    @property
    def partition_count(self) -> int:
        """Partitions of `events`, of `run-requests` and of their companions."""
        return self.partitions or (4 if self.is_embedded else 12)

    @property
    def folder(self) -> Path:
        """The state folder, absolute."""
        return (self.home or state_folder(Path.cwd())).absolute()


def _mistakes(error: ValidationError) -> Iterator[str]:
    """What is wrong with each variable; its value may be a secret, and is not told."""
    for each in error.errors(include_input=False, include_url=False):
        variable = "__".join(str(part) for part in each["loc"]).upper()
        said = each["msg"].removeprefix("Value error, ").rstrip(".")
        yield f"EVENTFLOW_{variable}: {said}."


def state_folder(start: Path) -> Path:
    """The nearest `.eventflow` at `start` or above it, else the one at `start` (not made here)."""
    for folder in (start, *start.parents):
        if (folder / ".eventflow").is_dir():
            return folder / ".eventflow"
    return start / ".eventflow"


def user_name(settings: Settings) -> str:
    """Whose branch `user.<name>` is: EVENTFLOW_USER, SUDO_USER, else the login."""
    return settings.user or os.environ.get("SUDO_USER") or getpass.getuser()
