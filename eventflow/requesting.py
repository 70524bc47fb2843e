"""Requesting a run of a deployed flow by hand: the same record that the trigger service writes.

The version is the one in force for the events of the flow's own namespace. Its parameters are
checked here, against what the deployment says of them, so that a runner never meets a wrong one.
On return the request is durable. Nothing is consumed, and every call is a run of its own
(docs/protocols.md §6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow import deploy
from eventflow.authoring.parameters import text_values
from eventflow.errors import Ambiguous, NotFound
from eventflow.model.run import RunRequest, hand_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventflow.context import World
    from eventflow.model.deployment import Deployment

__all__ = ["find_in_force", "new_request", "request_run", "versions_in_force"]


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


def new_request(world: World, version: Deployment, given: Mapping[str, str]) -> RunRequest:
    """A request of a run of that version, with parameters as somebody typed them; not written.

    Raises:
        InvalidParameter: all that is wrong with the parameters.
    """
    effects = world.effects
    now = effects.clock.now()
    return RunRequest(
        run_id=hand_run_id(now, effects.ids.token()),
        namespace=version.namespace,
        flow=version.flow,
        version=version.version,
        parameters=text_values(version.parameters, given),
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=now,
    )


def request_run(world: World, request: RunRequest) -> None:
    """Have it executed. On return it is durable; a repeat of the same request is one run.

    Raises:
        BusUnreachable: it may have been written or not; call it again with the same request.
        RecordTooLarge: its parameters are more than a record holds; nothing was written.
    """
    world.bus.publish([world.codec.new_record(request)])
