"""Requesting a run of a deployed flow by hand, and cancelling a requested run.

A request by hand is the same record that the trigger service writes.

The version is the one in force for the events of the flow's own namespace. Its parameters are
checked here, against what the deployment says of them, so that a runner never meets a wrong one.
On return the request is durable. Nothing is consumed, and every call is a run of its own
(docs/protocols.md §6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow import deploy
from eventflow.authoring.included_files import read_file, store_files
from eventflow.authoring.parameters import text_values
from eventflow.bus.request_log import waiting_request, waiting_requests
from eventflow.errors import Ambiguous, InvalidParameter, NotFound
from eventflow.model.deployment import ParameterType
from eventflow.model.pathspec import split_pathspec
from eventflow.model.run import Cancellation, RunRequest, hand_run_id
from eventflow.settings import user_name
from eventflow.store.finding import find_run, namespaces_of
from eventflow.store.layout import RunPlace
from eventflow.store.runs import place_of, read_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventflow.context import World
    from eventflow.model.deployment import Deployment

__all__ = [
    "cancel_run",
    "find_in_force",
    "find_requested",
    "new_request",
    "request_run",
    "versions_in_force",
]

_SHORTEST = 6


def versions_in_force(world: World) -> Iterator[Deployment]:
    """The version in force of each deployment, whole, in the order in which they were deployed."""
    in_force = deploy.versions_in_force(world)
    for each in deploy.versions(world):
        if in_force.get((each.namespace, each.flow)) == each.version:
            yield each


def find_in_force(world: World, name: str) -> Deployment:
    """The version in force of `Flow` or `project/branch/Flow`.

    Raises:
        NotFound: there is none; the message says whether there was.
        Ambiguous: a flow of that name is in force in several namespaces.
    """
    namespace, _, flow = name.rpartition("/")
    found = [
        each
        for each in versions_in_force(world)
        if each.flow == flow and namespace in ("", each.namespace)
    ]
    if len(found) > 1:
        named = ", ".join(sorted(f"{each.namespace}/{flow}" for each in found))
        raise Ambiguous(f"{flow} is deployed in several namespaces, name one: {named}.")
    if not found:
        deploy.find_version(world, name, None)  # NotFound when it was never deployed
        raise NotFound(
            f"No version of {name} is in force: it was deleted, or no trigger service has passed"
            " the mark of its deployment yet. See `eventflow deployments list --all`."
        )
    return found[0]


def new_request(
    world: World, version: Deployment, given: Mapping[str, str], *, keeps_files: bool = True
) -> RunRequest:
    """A request of a run of that version, with parameters as somebody typed them; not written.

    An included file is given by its path. It is read here, and its content is in the store on
    return; without `keeps_files` it is read only, and the path stands for it.

    Raises:
        InvalidParameter: all that is wrong with the parameters, or with the files.
    """
    contents = _read_files(version, given)
    parameters = text_values(
        [each for each in version.parameters if each.name not in contents],
        {name: text for name, text in given.items() if name not in contents},
    )
    if keeps_files:
        project = version.namespace.partition("/")[0]
        parameters |= store_files(world.store, project, contents)
    else:
        parameters |= {name: given[name] for name in contents}
    effects = world.effects
    now = effects.clock.now()
    return RunRequest(
        run_id=hand_run_id(now, effects.ids.token()),
        namespace=version.namespace,
        flow=version.flow,
        version=version.version,
        parameters=parameters,
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=now,
        tags=version.tags,
        system_tags=version.system_tags,
    )


def _read_files(version: Deployment, given: Mapping[str, str]) -> dict[str, str | bytes]:
    """The contents of the included files that are given, by the name of their parameter."""
    contents: dict[str, str | bytes] = {}
    mistakes: list[str] = []
    for spec in version.parameters:
        if spec.type is ParameterType.FILE and spec.name in given:
            try:
                contents[spec.name] = read_file(given[spec.name], spec.encoding)
            except InvalidParameter as error:
                mistakes.append(f"Parameter {spec.name!r}: {error}")
    if mistakes:
        raise InvalidParameter("\n".join(mistakes))
    return contents


def request_run(world: World, request: RunRequest) -> None:
    """Have it executed. On return it is durable; a repeat of the same request is one run.

    Raises:
        BusUnreachable: it may have been written or not; call it again with the same request.
        RecordTooLarge: its parameters are more than a record holds; nothing was written.
    """
    world.bus.publish([world.codec.new_record(request)])


def find_requested(world: World, pathspec: str) -> RunPlace:
    """A run, waiting or begun, by `Flow/run` or `project/branch/Flow/run`.

    The first 6 characters of its id are enough when they are unique.

    Raises:
        NotFound: there is no such flow or run.
        Ambiguous: several runs have such an id; the message lists them.
    """
    namespace, (flow, run) = split_pathspec(pathspec, 2)
    found = _begun(world, namespace, flow, run)
    if len(run) >= _SHORTEST:
        found |= {
            place_of(each)
            for each in waiting_requests(world.bus, world.decoder, world.topics)
            if each.flow == flow
            and namespace in (None, each.namespace)
            and each.run_id.startswith(run)
        }
    if not found:
        raise NotFound(
            f"There is no run {pathspec}: give at least the first {_SHORTEST} characters of its id;"
            " `eventflow runs` lists them."
        )
    if len(found) > 1:
        listed = ", ".join(sorted(f"{each.namespace}/{flow}/{each.run_id}" for each in found))
        raise Ambiguous(f"{pathspec} fits several runs; name one: {listed}.")
    return found.pop()


def _begun(world: World, namespace: str | None, flow: str, run: str) -> set[RunPlace]:
    namespaces = namespaces_of(world.store, flow, namespace)
    if not namespaces:
        return set()
    try:
        return {find_run(world.store, flow, namespaces, run)}
    except Ambiguous:
        raise
    except NotFound:
        return set()


def cancel_run(world: World, place: RunPlace) -> None:
    """Have a requested run end as cancelled, unless it ends before. On return that is durable.

    A runner sees to it: one that waits never starts, the tasks of one that runs are killed.

    Raises:
        NotFound: it is a run by hand, which its own process ends.
    """
    request = waiting_request(world.bus, world.decoder, world.topics, place.run_id)
    if request is None and _is_by_hand(world, place):
        raise NotFound(
            f"{place.flow}/{place.run_id} is run by hand: interrupt its process (Ctrl-C) instead."
        )
    reason = f"cancelled by {user_name(world.settings)}"
    now = world.effects.clock.now()
    asked = Cancellation(place.run_id, reason, now, request)
    world.bus.publish([world.codec.new_record(asked)])


def _is_by_hand(world: World, place: RunPlace) -> bool:
    # A run that was accepted a moment ago may have no run.json yet; one by hand always has.
    if world.store.info(place.run) is None:
        return False
    return read_run(world.store, place).request.version == 0
