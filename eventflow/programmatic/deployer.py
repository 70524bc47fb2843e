"""`Deployer`: makes the flow of a file live, from a program or a notebook."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from eventflow import deploy
from eventflow.context import world
from eventflow.errors import InvalidSettings, NotFound, UnknownProvider
from eventflow.programmatic.deployed import DeployedFlow
from eventflow.programmatic.program import FlowProgram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.programmatic.flow_file import FlowFile
    from eventflow.programmatic.process import FlowProcess

__all__ = ["Deployer", "EventflowDeployer"]

_SET_HERE = ("json", "dry_run")


class Deployer(FlowProgram):
    """The deploying of a flow's file: `Deployer("flow.py", production=True).eventflow().create()`.

    `top_level_options` are what stands before a command: `branch="b"`, `production=True`.
    """

    def eventflow(self) -> EventflowDeployer:
        """Deploys to eventflow: the one provider there is."""
        return EventflowDeployer(self._file, self._processes, show_output=self._show_output)

    if not TYPE_CHECKING:  # a type checker says it itself

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):  # asked by copy and pickle
                raise AttributeError(name)
            raise UnknownProvider(
                f"Deployer has no {name}(…): flows are deployed to eventflow, with"
                " Deployer(file).eventflow().create()."
            )


class EventflowDeployer:
    """The provider `eventflow` of a `Deployer`."""

    def __init__(self, file: FlowFile, processes: list[FlowProcess], *, show_output: bool) -> None:
        self._file, self._processes, self._show_output = file, processes, show_output

    def create(self, package_suffixes: str | Sequence[str] = (), **options: object) -> DeployedFlow:
        """Make a version live, as `python flow.py deploy` does; on return its mark is durable.

        `package_suffixes` names further files of the code package: `[".csv", ".sql"]`.

        Raises:
            InvalidOption: there is no such option.
            CommandFailed: it was not deployed; the message says why.
            InvalidSettings: `env` put it where this process does not look.
        """
        suffixes = package_suffixes
        given = {"package_suffixes": suffixes if isinstance(suffixes, str) else ",".join(suffixes)}
        words = self._file.options().words(
            "deploy", self._file.before, given | options, kept=_SET_HERE
        )
        process = self._file.start([*words, "--json"])
        self._processes.append(process)
        said = json.loads(self._file.finish(process).splitlines()[-1])
        self._show(process, said)
        return self._found(said)

    def _show(self, process: FlowProcess, said: dict[str, Any]) -> None:
        if not self._show_output:
            return
        sys.stderr.write(process.text("stderr"))
        sys.stdout.write(
            f"{said['flow']} version {said['version']} is deployed in {said['namespace']}.\n"
        )

    def _found(self, said: dict[str, Any]) -> DeployedFlow:
        name = f"{said['namespace']}/{said['flow']}"
        try:
            return DeployedFlow(deploy.find_version(world(), name, said["version"]))
        except NotFound as error:
            raise InvalidSettings(
                f"{name} was deployed to a bus that this process does not read: set EVENTFLOW_HOME"
                " or EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS for both, not in env= alone."
            ) from error
