"""The objects that make a run: `run.json`, `end.json`, and the keys it is found by.

`write_beginning` is repeated by a take-over, so nothing in it depends on who writes it.
`write_end` decides the one end of a run.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.model.completion import Outcome
from eventflow.model.offset import Offset
from eventflow.model.run import Cause, RunRequest
from eventflow.model.task import RunEnd, TaskKey
from eventflow.model.trigger import Source
from eventflow.store.deciding import decide, encode_json, read_json
from eventflow.store.graphs import graph_from_json, graph_to_json
from eventflow.store.layout import (
    RunPlace,
    flow_key,
    index_key,
    lineage_key,
    lineage_prefix,
    tagged_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.model.graph import FlowGraph
    from eventflow.store.port import Store

__all__ = [
    "EndFile",
    "RunFile",
    "finished_tasks",
    "mark_successful",
    "place_of",
    "read_end",
    "read_run",
    "run_from_json",
    "run_to_json",
    "write_beginning",
    "write_end",
]


@dataclass(frozen=True, slots=True)
class RunFile:
    """What `run.json` says. `code_digest` is empty for a run by hand, whose version is 0."""

    request: RunRequest
    graph: FlowGraph
    code_digest: str


@dataclass(frozen=True, slots=True)
class EndFile:
    """What `end.json` says: the one end of a run, whoever wrote it."""

    epoch: int
    outcome: Outcome
    reason: str
    manifest: Mapping[str, TaskKey]
    ended_at: datetime


def place_of(request: RunRequest) -> RunPlace:
    """Where the run of a request lies."""
    return RunPlace(request.namespace, request.flow, request.run_id)


def write_beginning(store: Store, run: RunFile, causes: Sequence[Cause]) -> None:
    """Make a run findable: run.json, its index entry, its tags, its flow, its lineage, both ways.

    `causes` are those of the request, or what its blob holds. On return all keys exist.
    """
    request = run.request
    objects: list[tuple[str, bytes]] = [
        (place_of(request).run, encode_json(run_to_json(run))),
        (index_key(request.namespace, request.flow, request.run_id, request.requested_at), b""),
        (flow_key(request.namespace, request.flow), b""),
        *_tagged(request),
        *_lineage(request, causes),
        *_downstream(request, causes),
    ]
    store.put_all(objects)


def read_run(store: Store, place: RunPlace) -> RunFile:
    """What `run.json` says.

    Raises:
        ObjectMissing: there is no such run.
        CorruptObject: it cannot be read.
    """
    content = read_json(store, place.run)
    try:
        return run_from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObject(f"{store.url}/{place.run} is not what it should be: {error}") from error


def write_end(
    store: Store, place: RunPlace, end: RunEnd, *, epoch: int, at: datetime, nonce: str
) -> EndFile:
    """Decide how a run ended; what stands, which may be another writer's end."""
    content = {
        "epoch": epoch,
        "outcome": end.outcome.value,
        "reason": end.reason,
        "manifest": {name: _key_to_json(key) for name, key in end.manifest.items()},
        "ended_at": at.isoformat(),
    }
    return _end_from_json(decide(store, place.end, content, nonce=nonce).content)


def read_end(store: Store, place: RunPlace) -> EndFile | None:
    """How the run ended; None while it has not."""
    if store.info(place.end) is None:
        return None
    return _end_from_json(read_json(store, place.end))


def finished_tasks(store: Store, place: RunPlace) -> int:
    """How many attempts of tasks have their artifacts, over all epochs: one listing."""
    keys = store.list(f"{place.root}e")
    return sum(1 for each in keys if each.key.endswith("/artifacts.json"))


def mark_successful(store: Store, request: RunRequest) -> None:
    """Make the run findable among the successful ones; after its end, before its completion."""
    key = index_key(
        request.namespace, request.flow, request.run_id, request.requested_at, successful=True
    )
    store.put_all([(key, b"")])


def _tagged(request: RunRequest) -> Iterator[tuple[str, bytes]]:
    for tag in request.tags:
        home = request.namespace, request.flow, request.run_id, request.requested_at
        yield tagged_key(*home, tag), b""


def _lineage(request: RunRequest, causes: Sequence[Cause]) -> Iterator[tuple[str, bytes]]:
    blocks: dict[str, list[Offset]] = {}
    for cause in causes:
        blocks.setdefault(lineage_prefix(cause.origin), []).append(cause.origin)
    for origins in blocks.values():
        key = lineage_key(origins, request.namespace, request.flow, request.run_id)
        yield key, encode_json(sorted(origin.offset for origin in origins))


def _downstream(request: RunRequest, causes: Sequence[Cause]) -> Iterator[tuple[str, bytes]]:
    for cause in causes:
        if cause.run_id is None:
            continue
        flow = cause.flow
        upstream = RunPlace(cause.run_namespace, flow, cause.run_id)
        key = upstream.downstream(request.namespace, request.flow, request.run_id)
        yield key, encode_json(str(cause.origin))


def _key_to_json(key: TaskKey) -> list[object]:
    return [key.epoch, key.step, key.task, key.attempt]


def _end_from_json(content: dict[str, Any]) -> EndFile:
    try:
        return EndFile(
            epoch=content["epoch"],
            outcome=Outcome(content["outcome"]),
            reason=content["reason"],
            manifest={name: TaskKey(*key) for name, key in content["manifest"].items()},
            ended_at=datetime.fromisoformat(content["ended_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObject(f"An end.json is not what it should be: {error}") from error


def _offset_to_json(offset: Offset) -> list[object]:
    return [offset.topic, offset.topic_id, offset.partition, offset.offset]


def _cause_to_json(cause: Cause) -> dict[str, Any]:
    return {
        "origin": _offset_to_json(cause.origin),
        "kind": cause.kind.value,
        "event_id": cause.event_id,
        "name": cause.name,
        "namespace": cause.namespace,
        "at": cause.at.isoformat(),
        "payload": base64.b64encode(cause.payload).decode(),
        "content_type": cause.content_type,
        "run_id": cause.run_id,
        "run_namespace": cause.run_namespace,
        "flow": cause.flow,
    }


def _cause_from_json(content: dict[str, Any]) -> Cause:
    return Cause(
        **{
            **content,
            "origin": Offset(*content["origin"]),
            "kind": Source(content["kind"]),
            "at": datetime.fromisoformat(content["at"]),
            "payload": base64.b64decode(content["payload"]),
        }
    )


def run_to_json(run: RunFile) -> dict[str, Any]:
    """All of it as JSON."""
    request = run.request
    return {
        "run_id": request.run_id,
        "namespace": request.namespace,
        "flow": request.flow,
        "version": request.version,
        "parameters": request.parameters,
        "causes": [_cause_to_json(cause) for cause in request.causes],
        "causes_digest": request.causes_digest,
        "roots": [_offset_to_json(root) for root in request.roots],
        "hops": request.hops,
        "requested_at": request.requested_at.isoformat(),
        "origin": request.origin,
        "tags": request.tags,
        "system_tags": request.system_tags,
        "code_digest": run.code_digest,
        "graph": graph_to_json(run.graph),
    }


def run_from_json(content: dict[str, Any]) -> RunFile:
    """What `run_to_json` made."""
    request = RunRequest(
        run_id=content["run_id"],
        namespace=content["namespace"],
        flow=content["flow"],
        version=content["version"],
        parameters=content["parameters"],
        causes=tuple(_cause_from_json(cause) for cause in content["causes"]),
        causes_digest=content["causes_digest"],
        roots=tuple(Offset(*root) for root in content["roots"]),
        hops=content["hops"],
        requested_at=datetime.fromisoformat(content["requested_at"]),
        origin=content["origin"],
        tags=tuple(content["tags"]),
        system_tags=tuple(content["system_tags"]),
    )
    return RunFile(request, graph_from_json(content["graph"]), content["code_digest"])
