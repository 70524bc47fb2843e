"""`eventflow tail`: the event log as it grows, with what was decided on each event."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.output import as_json_option, time_text
from eventflow.model.completion import Completion
from eventflow.model.decision import Decision
from eventflow.model.deployment import Activation
from eventflow.model.event import EventRecord
from eventflow.model.timetable import DUE_TOPIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.bus.port import Reader
    from eventflow.context import World
    from eventflow.model.log import Record

__all__ = ["command"]

_POLL = timedelta(milliseconds=250)


@click.command("tail")
@click.option("--from-beginning", is_flag=True, help="From the first record kept.")
@click.option("--until-end", is_flag=True, help="Stop at the end instead of waiting for more.")
@click.option("--namespace", help="Only this project/branch, or project/*.")
@as_json_option
def command(from_beginning: bool, until_end: bool, namespace: str | None, as_json: bool) -> None:
    """Events, completions, marks and decisions, as they are written."""
    from contextlib import closing

    from eventflow import app

    world = app.connect()
    with closing(_reader(world, from_beginning=from_beginning)) as reader:
        for record in _records(reader, until_end=until_end):
            said = _say(world, record)
            if said is not None and namespace in (None, said["namespace"]):
                click.echo(json.dumps(said, default=str) if as_json else _line(said))
    world.close()


def _reader(world: World, *, from_beginning: bool) -> Reader:
    from eventflow.model.log import TopicPartition

    topics = (world.topics.events, world.topics.decisions)
    where = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in range(world.topics.event_partitions)
    ]
    return world.bus.reader(
        {each: 0 if from_beginning else world.bus.high_watermark(each) for each in where}
    )


def _records(reader: Reader, *, until_end: bool) -> Iterator[Record]:
    ended: set[Any] = set()
    while True:
        poll = reader.poll(_POLL)
        batch = [record for records in poll.records.values() for record in records]
        yield from sorted(batch, key=lambda record: record.appended_at)
        ended = (ended - set(poll.records)) | set(poll.ended)
        if until_end and not batch and not poll.ended:
            return


def _say(world: World, record: Record) -> dict[str, Any] | None:
    from eventflow.errors import UndecodableRecord

    said: dict[str, Any] = {
        "at": time_text(record.appended_at),
        "offset": f"{record.topic}/{record.partition}/{record.offset}",
    }
    try:
        value = world.decoder.decode(record.value)
    except UndecodableRecord as error:
        return {**said, "kind": "undecodable", "namespace": "", "text": str(error)}
    if isinstance(value, EventRecord):
        text = f"{value.name} {value.payload.decode(errors='replace')}"
        said |= {"kind": "event", "text": text, "id": value.id, "name": value.name}
    elif isinstance(value, Completion):
        text = f"{value.flow}/{value.run_id[:8]} {value.outcome.value} {value.reason}".rstrip()
        said |= {"kind": "completion", "text": text, "flow": value.flow, "run_id": value.run_id}
        said |= {"outcome": value.outcome.value, "reason": value.reason}
    elif isinstance(value, Activation):
        verb = "deleted" if value.is_deleted else f"version {value.version}"
        text = f"{value.flow} {verb} for events of {value.source}"
        said |= {"kind": "mark", "text": text, "flow": value.flow, "version": value.version}
    elif isinstance(value, Decision):
        said |= {"kind": "decision", "text": _decision(value), "flow": value.flow}
        said |= {"origin": str(value.origin), "run_id": value.run_id}
        said |= {"verdict": value.verdict.value, "reason": value.reason}
    else:
        return None
    return {**said, "namespace": value.namespace}


def _decision(decision: Decision) -> str:
    run = f" {decision.run_id[:8]}" if decision.run_id else ""
    reason = f" ({decision.reason})" if decision.reason else ""
    said = str(decision.origin)
    if decision.origin.topic == DUE_TOPIC:
        said = f"{decision.event_name} due {decision.event_id}"
    return f"{said} → {decision.flow}: {decision.verdict.value}{run}{reason}"


def _line(said: dict[str, Any]) -> str:
    return f"{said['at']}  {said['kind']:<11} {said['namespace']:<24} {said['text']}"
