"""`Runner`: runs of a flow by hand, from a program or a notebook."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Self

from eventflow.errors import TimedOut
from eventflow.programmatic.echo import Text
from eventflow.programmatic.executing import (
    ATTRIBUTE_FILE,
    LOOK_EVERY,
    ExecutingRun,
    has_begun,
)
from eventflow.programmatic.flow_file import failure
from eventflow.programmatic.program import FlowProgram

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from eventflow.programmatic.process import FlowProcess

__all__ = ["Runner"]

_ATTRIBUTE_OPTION = "runner_attribute_file"


class Runner(FlowProgram):
    """Runs the flow of a file, each time in a process of its own.

    `top_level_options` are what stands before a command: `branch="b"`, `production=True`. Those
    of `run` and `resume` are parameters of the flow and options of the command; a list is given
    for an option that can be repeated: `tags=[…]`, `decospecs=[…]` for `--with`.
    """

    def run(self, **parameters: object) -> ExecutingRun:
        """Run it to its end, whatever that is. Ctrl-C cancels the run.

        Raises:
            InvalidOption: no such parameter or option, or a value that cannot be typed.
            CommandFailed: it did not begin; the message says why.
        """
        return self._to_its_end(self._start("run", parameters))

    def resume(self, step_to_resume: str | None = None, **options: object) -> ExecutingRun:
        """As `run`, going on with an earlier run: `origin_run_id="…"`.

        It goes on at the step that failed, or at `step_to_resume`.
        """
        return self._to_its_end(self._start("resume", options, step_to_resume))

    async def async_run(self, **parameters: object) -> ExecutingRun:
        """Begin a run; on return its first task may start. Raises as `run`."""
        return await self._begin("run", parameters)

    async def async_resume(
        self, step_to_resume: str | None = None, **options: object
    ) -> ExecutingRun:
        """As `async_run`, going on with an earlier run."""
        return await self._begin("resume", options, step_to_resume)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.cleanup)

    def _start(
        self, command: str, given: Mapping[str, object], argument: str | None = None
    ) -> FlowProcess:
        words = self._file.options().words(
            command, self._file.before, given, kept=[_ATTRIBUTE_OPTION]
        )
        if argument is not None:
            words.append(argument)
        process = self._file.start(words, attribute_file=ATTRIBUTE_FILE)
        self._processes.append(process)
        return process

    def _to_its_end(self, process: FlowProcess) -> ExecutingRun:
        patience = self._file.patience
        with (
            _Echo(process, is_on=self._show_output) as echo,
            _Beginning(process, patience) as begin,
        ):
            while not process.wait(LOOK_EVERY):
                echo.pass_on()
                begin.look()
        return _executing(process)

    async def _begin(
        self, command: str, given: Mapping[str, object], argument: str | None = None
    ) -> ExecutingRun:
        process = await asyncio.to_thread(self._start, command, given, argument)
        with _Beginning(process, self._file.patience) as begin:
            while not has_begun(process) and process.returncode is None:
                begin.look()
                await asyncio.sleep(LOOK_EVERY.total_seconds())
        return _executing(process)


class _Beginning:
    """A run that has so much time to begin. Leaving with an error ends its process."""

    def __init__(self, process: FlowProcess, patience: timedelta) -> None:
        self._process, self._patience = process, patience
        self._deadline = time.monotonic() + patience.total_seconds()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.end()

    def look(self) -> None:
        """Look whether it has begun where it should have.

        Raises:
            TimedOut: it has not.
        """
        if time.monotonic() > self._deadline and not has_begun(self._process):
            seconds = self._patience.total_seconds()
            raise TimedOut(f"The run did not begin within {seconds} seconds, and was ended.")


class _Echo:
    """Passes on what a process prints, to where this process prints; the rest on leaving."""

    def __init__(self, process: FlowProcess, *, is_on: bool) -> None:
        streams = ("stdout", "stderr") if is_on else ()
        self._texts = {each: Text(process.output(each)) for each in streams}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        """What came since the last call."""
        for name, text in self._texts.items():
            stream = getattr(sys, name)
            for piece in text.read():
                stream.write(piece)
                stream.flush()


def _executing(process: FlowProcess) -> ExecutingRun:
    if not has_begun(process):
        raise failure(process)
    return ExecutingRun(process)
