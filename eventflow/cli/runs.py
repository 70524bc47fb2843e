"""`eventflow runs`: what ran, runs and waits."""

from __future__ import annotations

import heapq
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, print_rows, time_text
from eventflow.errors import NotFound
from eventflow.model.run import RunState
from eventflow.store.tags import tags_at_start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.client.run import Run
    from eventflow.context import World
    from eventflow.model.run import RunRequest
    from eventflow.store.port import ObjectInfo

__all__ = ["command"]

_SHORT_ID = 8


@click.command("runs")
@click.argument("flow", required=False)
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--state", type=click.Choice([each.value for each in RunState]), help="Only these.")
@click.option("--tag", "tags", multiple=True, help="Only with this tag; repeatable: with all.")
@as_json_option
def command(
    flow: str | None, limit: int, state: str | None, tags: tuple[str, ...], *, as_json: bool
) -> None:
    """The latest runs, latest first. FLOW is a name, or project/branch/Name; default: all.

    What is requested and not yet begun is `queued`, and stands before the others.
    """
    from eventflow import context
    from eventflow.client.scope import namespace

    world = existing_world()
    context.use(world)
    namespace(None)
    queued = _queued(world, flow, tags)
    try:
        rows = chain(queued, _begun(world, flow, tags))
    except NotFound:
        if not queued:
            raise
        rows = chain(queued)
    shown = islice((row for row in rows if state in (None, row["state"])), limit)
    columns = ("run", "namespace", "state", "version", "requested_at", "reason")
    print_rows(columns, shown, as_json=as_json)
    world.close()


def _queued(world: World, flow: str | None, tags: tuple[str, ...]) -> list[dict[str, object]]:
    from eventflow.bus.request_log import waiting_requests

    waiting = waiting_requests(world.bus, world.decoder, world.topics)
    wanted = [each for each in waiting if _is_of(each, flow) and _has(each, tags)]
    wanted.sort(key=lambda request: request.requested_at, reverse=True)
    return [
        _row(each.flow, each.run_id, each.namespace)
        | {
            "state": RunState.QUEUED.value,
            "version": each.version,
            "requested_at": time_text(each.requested_at),
            "reason": "",
        }
        for each in wanted
    ]


def _begun(world: World, flow: str | None, tags: tuple[str, ...]) -> Iterator[dict[str, object]]:
    from eventflow.client.flow import Flow

    names = [flow] if flow else [each.key.split("/")[1] for each in _flows(world)]
    runs = [((run.created_at, run) for run in Flow(name).runs(*tags)) for name in names]
    latest = heapq.merge(*runs, key=lambda entry: entry[0], reverse=True)
    return (_begun_row(run) | {"requested_at": time_text(at)} for at, run in latest)


def _flows(world: World) -> Iterator[ObjectInfo]:
    return world.store.list("flows/", folders=True)


def _begun_row(run: Run) -> dict[str, object]:
    flow = run.pathspec.split("/")[-2]
    said = {"state": run.state.value, "version": run.version or "by hand", "reason": run.reason}
    return _row(flow, run.id, run.namespace) | said


def _row(flow: str, run_id: str, namespace: str) -> dict[str, object]:
    short = f"{flow}/{run_id[:_SHORT_ID]}"
    return {"run": short, "flow": flow, "run_id": run_id, "namespace": namespace}


def _has(request: RunRequest, tags: tuple[str, ...]) -> bool:
    return set(tags) <= tags_at_start(request).every


def _is_of(request: RunRequest, flow: str | None) -> bool:
    return flow in (None, request.flow, f"{request.namespace}/{request.flow}")
