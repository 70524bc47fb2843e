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
from eventflow.programmatic.flow_file import FlowFile, failure

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from eventflow.programmatic.process import FlowProcess

__all__ = ["Runner"]

_ATTRIBUTE_OPTION = "runner_attribute_file"
_NOT_BEGUN = "The run did not begin within {} seconds, and was ended."


class Runner:
    """Runs the flow of a file, each time in a process of its own.

    `top_level_options` are what stands before a command: `branch="b"`, `production=True`. Those
    of `run` and `resume` are parameters of the flow and options of the command; a list is given
    for an option that can be repeated. Leaving it as a context manager ends what still runs.
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
        """`show_output` prints what `run` and `resume` print. `env` adds to the environment.

        `file_read_timeout` is how many seconds a run may take to begin.

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

    def cleanup(self) -> None:
        """End what still runs."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()

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
        echo = _Echo(process) if self._show_output else None
        deadline = time.monotonic() + self._file.patience.total_seconds()
        try:
            while not process.wait(LOOK_EVERY):
                if echo is not None:
                    echo.pass_on()
                self._mind(process, deadline)
        except BaseException:
            process.end()
            raise
        finally:
            if echo is not None:
                echo.pass_on()
        return _executing(process)

    async def _begin(
        self, command: str, given: Mapping[str, object], argument: str | None = None
    ) -> ExecutingRun:
        process = await asyncio.to_thread(self._start, command, given, argument)
        deadline = time.monotonic() + self._file.patience.total_seconds()
        try:
            while not has_begun(process) and process.returncode is None:
                self._mind(process, deadline)
                await asyncio.sleep(LOOK_EVERY.total_seconds())
        except BaseException:
            process.end()
            raise
        return _executing(process)

    def _mind(self, process: FlowProcess, deadline: float) -> None:
        if time.monotonic() > deadline and not has_begun(process):
            raise TimedOut(_NOT_BEGUN.format(self._file.patience.total_seconds()))


class _Echo:
    """Passes on what a process prints, to where this process prints."""

    def __init__(self, process: FlowProcess) -> None:
        self._out, self._err = Text(process.output("stdout")), Text(process.output("stderr"))

    def pass_on(self) -> None:
        """What came since the last call."""
        for text, stream in ((self._out, sys.stdout), (self._err, sys.stderr)):
            for piece in text.read():
                stream.write(piece)
                stream.flush()


def _executing(process: FlowProcess) -> ExecutingRun:
    if not has_begun(process):
        raise failure(process)
    return ExecutingRun(process)
