"""A flow's file as a program: how it is started, and with which state."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventflow.context import world
from eventflow.errors import (
    CommandFailed,
    FlowProblem,
    InvalidFlow,
    InvalidOption,
    NotFound,
    TimedOut,
)
from eventflow.programmatic.options import FlowOptions
from eventflow.programmatic.process import FlowProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FlowFile", "failure"]


@dataclass(frozen=True)
class FlowFile:
    """A file that ends with `MyFlow()`, the options before its commands, and its environment."""

    file: Path
    env: Mapping[str, str]
    cwd: str | None
    before: Mapping[str, object]
    patience: timedelta

    @classmethod
    def of(
        cls,
        flow_file: str | os.PathLike[str],
        *,
        profile: str | None,
        env: Mapping[str, str] | None,
        cwd: str | os.PathLike[str] | None,
        file_read_timeout: float,
        before: Mapping[str, object],
    ) -> FlowFile:
        """The program of a file, relative to `cwd` when that is given.

        It has the environment and, unless `env` names another, the state folder of this process:
        what it leaves can be read here.

        Raises:
            NotFound: there is no such file.
            InvalidOption: a profile is given.
        """
        if profile is not None:
            raise InvalidOption(
                f"profile={profile!r}: there are no profiles. Settings are environment variables:"
                " give them as env={'EVENTFLOW_…': '…'}."
            )
        file = Path(cwd or ".", flow_file).absolute()
        if not file.is_file():
            raise NotFound(f"There is no file {file}.")
        return cls(
            file=file,
            env={"EVENTFLOW_HOME": str(world().settings.folder), **dict(env or {})},
            cwd=None if cwd is None else os.fspath(cwd),
            before=before,
            patience=timedelta(seconds=file_read_timeout),
        )

    def options(self) -> FlowOptions:
        """What its command line takes, asked anew: the file may have changed.

        Raises:
            CommandFailed: it has mistakes; the message lists them.
            InvalidFlow: it is no flow.
            TimedOut: it did not say so in time.
        """
        said = self.finish(self.start(["options"]))
        try:
            return FlowOptions.from_json(_last_line(said))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InvalidFlow(
                [
                    FlowProblem(
                        "This file does not answer as a flow does: it has to end with MyFlow(),"
                        " below `if __name__ == '__main__':`.",
                        str(self.file),
                        1,
                    )
                ]
            ) from error

    def start(self, words: Sequence[str], *, attribute_file: str | None = None) -> FlowProcess:
        """Start `python flow.py …`; with `attribute_file`, told to write that file beside its
        output once a run has begun."""
        command = [sys.executable, str(self.file), *words]
        return FlowProcess(
            command,
            env={**os.environ, **self.env},
            cwd=self.cwd,
            attribute_file=attribute_file,
        )

    def finish(self, process: FlowProcess) -> str:
        """What a command that takes a moment printed.

        Raises:
            CommandFailed: it failed.
            TimedOut: it took too long, and was ended.
        """
        try:
            if not process.wait(self.patience):
                raise TimedOut(f"{_shown(process)} took more than {self.patience}.")
        finally:
            process.end()
        if process.returncode != 0:
            raise failure(process)
        return process.text("stdout")


def failure(process: FlowProcess) -> CommandFailed:
    """The error of a process that failed."""
    returncode, stderr = process.returncode, process.text("stderr")
    assert returncode is not None
    message = f"{_shown(process)} ended with {returncode}.\n{stderr}".rstrip()
    return CommandFailed(message, returncode=returncode, stderr=stderr)


def _shown(process: FlowProcess) -> str:
    return " ".join(["python", *process.command[1:3]])


def _last_line(text: str) -> dict[str, Any]:
    """What a flow's own module prints comes before."""
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found
