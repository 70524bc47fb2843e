"""What `Runner` and `Deployer` both are: a flow's file, and the processes started of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from eventflow.programmatic.flow_file import FlowFile

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from eventflow.programmatic.process import FlowProcess

__all__ = ["FlowProgram"]


class FlowProgram:
    """The flow of a file. Leaving it as a context manager ends what still runs.

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
        """`show_output` prints what the commands print. `env` adds to the environment.

        `file_read_timeout` is how many seconds a run may take to begin, a deploy to end. Where
        options are given the file is asked for its own at once, in a process that ends.

        Raises:
            NotFound: there is no such file.
            InvalidOption: a profile is given: there are none; or the flow has no such option.
            CommandFailed, InvalidFlow: options are given, and the file cannot be asked for its own.
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
        if top_level_options:
            self._file.options().check_before(top_level_options)

    def cleanup(self) -> None:
        """End what still runs. What was deployed stays."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cleanup()
