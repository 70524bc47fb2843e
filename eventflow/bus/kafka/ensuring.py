"""Topics as they have to be (docs/protocols.md §1): made when missing, compared when there.

An existing topic is never changed: its owner may have reasons. What differs is told with the
command that mends it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from eventflow.bus.kafka.deadline import Deadline
from eventflow.errors import BusUnreachable, TopicMismatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.bus.kafka.admin import Admin
    from eventflow.model.log import TopicInfo, TopicSpec

__all__ = ["ensure_topics"]

_REPLICAS = 3
_FOR_EVER = -1
_BETWEEN_QUESTIONS = 0.02

_log = structlog.get_logger("eventflow.bus.kafka")


def ensure_topics(
    admin: Admin, specs: Sequence[TopicSpec], patience: timedelta, *, create: bool
) -> list[str]:
    """As `Bus.ensure`."""
    there = admin.topics([spec.name for spec in specs])
    missing = [spec for spec in specs if there[spec.name] is None]
    if missing and create:
        made = _create(admin, missing, Deadline(patience))
        there = admin.find([spec.name for spec in specs])
    else:
        made = []
    configs = admin.configs([name for name, info in there.items() if info is not None])
    differences = [line for spec in specs for line in _differences(spec, there[spec.name], configs)]
    if differences:
        raise TopicMismatch("\n".join(differences))
    _warn_of_single_replicas(configs)
    return made


def _create(admin: Admin, specs: Sequence[TopicSpec], deadline: Deadline) -> list[str]:
    replicas = min(_REPLICAS, admin.brokers())
    outcomes = admin.create([_new_topic(spec, replicas) for spec in specs])
    for name, error in outcomes.items():
        # Another process that starts at the same time may be faster.
        if error is not None and error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise _refused(admin, name, error)
    while not admin.are_led(list(outcomes)):
        if deadline.is_over:
            raise BusUnreachable(
                f"New topics have no leaders yet: {', '.join(outcomes)}. Check the brokers' logs"
            )
        deadline.pause(_BETWEEN_QUESTIONS)
    return [name for name, error in outcomes.items() if error is None]


def _refused(admin: Admin, name: str, error: KafkaError) -> Exception:
    told = admin.explain(f"making topic {name}", KafkaException(error))
    if isinstance(told, BusUnreachable) and error.code() > 0:  # an answer of the broker
        return TopicMismatch(f"Topic {name} cannot be made: {error.str()}")
    return told


def _new_topic(spec: TopicSpec, replicas: int) -> NewTopic:
    config = {
        **_required(spec),
        "min.insync.replicas": "2" if replicas >= _REPLICAS else "1",
        **spec.config,
    }
    return NewTopic(spec.name, spec.partitions, replicas, config=config)


def _required(spec: TopicSpec) -> dict[str, str]:
    return {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": spec.cleanup.value,
        "retention.ms": str(_retention_ms(spec)),
        "max.message.bytes": str(spec.max_record_bytes),
    }


def _retention_ms(spec: TopicSpec) -> int:
    if spec.retention is None:
        return _FOR_EVER
    return spec.retention // timedelta(milliseconds=1)


def _differences(
    spec: TopicSpec, info: TopicInfo | None, configs: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    if info is None:
        yield f"{spec.name}: missing. `eventflow topics ensure` makes it"
        return
    if info.partitions != spec.partitions:
        yield (
            f"{spec.name}: has {info.partitions} partitions, has to have {spec.partitions}. The"
            " count cannot change in place: take a new EVENTFLOW_TOPIC_PREFIX and let the"
            " services drain the old one"
        )
    config = configs[spec.name]
    for key, wanted in _required(spec).items():
        if key in config and not _is_enough(key, config[key], wanted):
            yield (
                f"{spec.name}: {key} is {config[key]}, has to be {wanted}. kafka-configs.sh"
                f" --alter --entity-type topics --entity-name {spec.name}"
                f" --add-config {key}={wanted}"
            )


def _is_enough(key: str, found: str, wanted: str) -> bool:
    """Larger records and a longer retention than needed do no harm."""
    if key == "max.message.bytes":
        return int(found) >= int(wanted)
    if key == "retention.ms":
        return int(found) == _FOR_EVER or _FOR_EVER < int(wanted) <= int(found)
    return found == wanted


def _warn_of_single_replicas(configs: Mapping[str, Mapping[str, str]]) -> None:
    single = [name for name, config in configs.items() if config.get("min.insync.replicas") == "1"]
    if single:
        _log.warning(
            "kafka.single_replica",
            topics=single,
            detail="min.insync.replicas is 1: what a broker acknowledged is lost with its disk",
        )
