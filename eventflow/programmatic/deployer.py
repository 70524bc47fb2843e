"""`Deployer`: makes the flow of a file live, from a program or a notebook."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

from eventflow import deploy
from eventflow.context import world
from eventflow.errors import InvalidSettings, NotFound
from eventflow.programmatic.deployed import DeployedFlow
from eventflow.programmatic.flow_file import FlowFile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from eventflow.programmatic.process import FlowProcess

__all__ = ["Deployer", "EventflowDeployer"]

_SET_HERE = ("json", "dry_run")


class Deployer:
    """The deploying of a flow's file: `Deployer("flow.py", production=True).eventflow().create()`.

    `top_level_options` are what stands before a command: `branch="b"`, `production=True`.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **top_level_options: object,
    ) -> None:
        """`show_output` prints what the deploy says. `env` adds to the environment.

        `file_read_timeout` is how many seconds it may take.

        Raises:
            NotFound: there is no such file.
            InvalidOption: a profile is given: there are none.
        """
        self._file = FlowFile.of(
            flow_file,
            profile=profile,
            env=env,
            cwd=cwd,
            file_read_timeout=file_read_timeout,
            before=top_level_options,
        )
        self._show_output = show_output
        self._processes: list[FlowProcess] = []

    def eventflow(self) -> EventflowDeployer:
        """Deploys to eventflow: the one provider there is."""
        return EventflowDeployer(self._file, self._processes, show_output=self._show_output)

    def cleanup(self) -> None:
        """End what still runs. What was deployed stays."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()


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
