"""`DeployedFlow`: a flow that is live in a namespace; runs of it can be requested by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow import deploy, requesting
from eventflow.client.flow import Flow
from eventflow.context import world
from eventflow.errors import NotFound
from eventflow.model.namespace import Namespace
from eventflow.programmatic.options import words_of
from eventflow.programmatic.triggered import TriggeredRun
from eventflow.store.layout import RunPlace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.client.run import Run
    from eventflow.model.deployment import Deployment

__all__ = ["DeployedFlow"]


class DeployedFlow:
    """One version of a flow, deployed: by `Deployer`, or found by name."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    @classmethod
    def from_deployment(cls, identifier: str) -> DeployedFlow:
        """The version in force of `Flow` or `project/branch/Flow`.

        Raises:
            NotFound: none is.
            Ambiguous: a flow of that name is in force in several namespaces.
        """
        return cls(requesting.find_in_force(world(), identifier))

    @classmethod
    def list_deployed_flows(cls, flow_name: str | None = None) -> list[DeployedFlow]:
        """What is in force in any namespace: of the flows of that name, or of all."""
        return [
            cls(each)
            for each in requesting.versions_in_force(world())
            if flow_name in (None, each.flow)
        ]

    @classmethod
    def get_triggered_run(cls, identifier: str, run_id: str) -> TriggeredRun:
        """A run of a deployed flow, also one that waits for a runner.

        The first 6 characters of its id are enough when they are unique.

        Raises:
            NotFound: there is no such flow or run.
            Ambiguous: several runs, or flows of several namespaces, are called so.
        """
        found = deploy.find_version(world(), identifier, None)
        name = f"{found.namespace}/{found.flow}/{run_id}"
        return TriggeredRun(requesting.find_requested(world(), name))

    @property
    def name(self) -> str:
        """`project/branch/Flow`: what `from_deployment` finds it by."""
        return f"{self.namespace}/{self.flow_name}"

    @property
    def flow_name(self) -> str:
        """The name of the flow."""
        return self._deployment.flow

    @property
    def namespace(self) -> str:
        """Where it lives: `project/branch`."""
        return self._deployment.namespace

    @property
    def version(self) -> int:
        """The number of the version."""
        return self._deployment.version

    @property
    def deployed_at(self) -> datetime:
        """When it was deployed, aware UTC."""
        return self._deployment.deployed_at

    @property
    def deployed_by(self) -> str:
        """Who deployed it."""
        return self._deployment.deployed_by

    @property
    def code_digest(self) -> str:
        """The SHA-256 of its code package, in hexadecimal."""
        return self._deployment.code.digest

    @property
    def parameters(self) -> dict[str, str]:
        """The types of its parameters, by name."""
        return {each.name: each.type.value for each in self._deployment.parameters}

    def trigger(self, **parameters: object) -> TriggeredRun:
        """Request a run of this version; on return the request is durable.

        A list or dict is given as it is; for a parameter of `JSONType` a str is JSON text. An
        `IncludeFile` is given by its path: the file is read here and now.

        Raises:
            InvalidOption, InvalidParameter: a parameter is not there, or has a wrong value.
            NotFound: no version of the flow is in force any more, or not yet.
        """
        connected = world()
        requesting.find_in_force(connected, self.name)
        request = requesting.new_request(connected, self._deployment, words_of(parameters))
        requesting.request_run(connected, request)
        return TriggeredRun(RunPlace(request.namespace, request.flow, request.run_id))

    def delete(self) -> None:
        """End new starts of the flow in its namespace, whatever its version by now.

        Requested runs go on; versions, runs and artifacts stay readable.
        """
        deploy.delete(world(), Namespace.parse(self.namespace), self.flow_name)

    def runs(self) -> Iterator[Run]:
        """All runs of the flow in its namespace that have begun, the one requested last first."""
        try:
            return Flow(self.name).runs()
        except NotFound:  # it has not run yet
            return iter(())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeployedFlow):
            return NotImplemented
        return self._deployment.key == other._deployment.key

    def __hash__(self) -> int:
        return hash(self._deployment.key)

    def __repr__(self) -> str:
        return f"<DeployedFlow {self.name} version {self.version}>"
