"""`ExecutingRun`: a run that `Runner` has begun, and the process that executes it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from eventflow.client.run import Run
from eventflow.context import world
from eventflow.errors import InvalidSettings
from eventflow.programmatic.echo import Lines
from eventflow.store.layout import RunPlace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from eventflow.programmatic.process import FlowProcess

__all__ = ["ATTRIBUTE_FILE", "LOOK_EVERY", "ExecutingRun", "has_begun"]

ATTRIBUTE_FILE = "run.json"
LOOK_EVERY = timedelta(milliseconds=50)


def has_begun(process: FlowProcess) -> bool:
    """Whether a process has said which run it executes."""
    return process.file(ATTRIBUTE_FILE).exists()


class ExecutingRun:
    """A run that has begun. Leaving it as a context manager ends it, when it has not ended."""

    def __init__(self, process: FlowProcess) -> None:
        self._process = process
        self._has_timed_out = False
        self._told = _read(process.file(ATTRIBUTE_FILE))

    @property
    def run(self) -> Run:
        """The run, for the client.

        Raises:
            InvalidSettings: `env` put it into a store that this process does not read.
        """
        mine, its = world().store.url, self._told["store"]
        if mine != its:
            raise InvalidSettings(
                f"The run is in the store {its}, this process reads {mine}: set"
                " EVENTFLOW_STORE__URL or EVENTFLOW_HOME for both, not in env= alone."
            )
        place = RunPlace(self._told["namespace"], self._told["flow_name"], self._told["run_id"])
        return Run.at(place)

    @property
    def command_obj(self) -> FlowProcess:
        """Its process: `pid`, `command`, `returncode`."""
        return self._process

    @property
    def status(self) -> str:
        """`running`, `successful`, `failed`; `timeout` when `wait` gave up on it."""
        if self._has_timed_out:
            return "timeout"
        if self.returncode is None:
            return "running"
        return "failed" if self.returncode else "successful"

    @property
    def returncode(self) -> int | None:
        """The exit code of its process; None while it runs."""
        return self._process.returncode

    @property
    def stdout(self) -> str:
        """What its process has printed so far."""
        return self._process.text("stdout")

    @property
    def stderr(self) -> str:
        """The same of stderr."""
        return self._process.text("stderr")

    async def wait(self, timeout: float | None = None, stream: str | None = None) -> Self:
        """Until it ends; `stream` (`stdout` or `stderr`) is printed meanwhile.

        After `timeout` seconds it is cancelled, and its `status` is `timeout`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        lines = None if stream is None else Lines(self._process.output(stream))
        while self.returncode is None:
            _print(lines, is_whole=False)
            if deadline is not None and time.monotonic() > deadline:
                self._has_timed_out = True
                await asyncio.to_thread(self.terminate)
            else:
                await asyncio.sleep(LOOK_EVERY.total_seconds())
        _print(lines, is_whole=True)
        return self

    async def stream_log(
        self, stream: str, position: int | None = None
    ) -> AsyncIterator[tuple[int, str]]:
        """The lines of `stdout` or `stderr` as they come, until the end of the run.

        Each stands behind its position, from which a later call goes on.
        """
        lines = Lines(self._process.output(stream), position or 0)
        is_whole = False
        while not is_whole:
            is_whole = self.returncode is not None
            for each in lines.read(is_whole=is_whole):
                yield each
            if not is_whole:
                await asyncio.sleep(LOOK_EVERY.total_seconds())

    def terminate(self) -> None:
        """Cancel it, unless it has ended; no process of it is left on return."""
        self._process.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.terminate)

    def __repr__(self) -> str:
        return f"<ExecutingRun {self._told['flow_name']}/{self._told['run_id']} {self.status}>"


def _print(lines: Lines | None, *, is_whole: bool) -> None:
    if lines is not None:
        for _, line in lines.read(is_whole=is_whole):
            sys.stdout.write(f"{line}\n")


def _read(file: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return told
