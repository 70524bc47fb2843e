"""A command in a process of its own: its output in files, its end asked for, and no orphan left.

The process leads its own process group, so that Ctrl-C of the terminal reaches whoever started it
and not the command, which is then ended in good order. When its object is collected, or Python
ends, a process that still runs is ended too.
"""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

__all__ = ["FlowProcess"]

_GRACE_S = 10.0
_STREAMS = ("stdout", "stderr")


class FlowProcess:
    """One process. Its output is in files that live as long as this object."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None,
        attribute_file: str | None = None,
    ) -> None:
        """Start it; with `attribute_file`, it is told to write a file of that name beside its
        output.

        Raises:
            InvalidOption: its words are more than the system hands to a process.
        """
        # Removed when the object is: somebody may read the output long after the end.
        self._folder = Path(tempfile.mkdtemp(prefix="eventflow-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        told = [] if attribute_file is None else [_told(self.file(attribute_file))]
        self.command = (*command, *told)
        self._popen = self._start(env, cwd)
        weakref.finalize(self, _end, self._popen)  # before the folder goes

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs. Negative: the signal that killed it."""
        return self._popen.poll()

    def file(self, name: str) -> Path:
        """A file beside its output."""
        return self._folder / name

    def output(self, stream: str) -> Path:
        """Where it writes `stdout` or `stderr`.

        Raises:
            InvalidOption: there is no such stream.
        """
        if stream not in _STREAMS:
            raise InvalidOption(f"{stream!r} is no stream: there are stdout and stderr.")
        return self.file(stream)

    def text(self, stream: str) -> str:
        """What it has written so far."""
        return self.output(stream).read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout: timedelta) -> bool:
        """Whether it ended within that time."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout.total_seconds())
        return self.returncode is not None

    def interrupt(self) -> None:
        """Ask it to end in good order: a run is cancelled. Returns at once."""
        with suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End it: in good order, and after 10 s by force. It has ended on return."""
        _end(self._popen)

    def _start(self, env: Mapping[str, str], cwd: str | None) -> subprocess.Popen[bytes]:
        with self.output("stdout").open("wb") as out, self.output("stderr").open("wb") as err:
            try:
                return subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
                raise InvalidOption(
                    "The values are larger than a command line can be. Give the name of a file, or"
                    " of an object in the store."
                ) from error


def _told(file: Path) -> str:
    return f"--runner-attribute-file={file}"


def _end(popen: subprocess.Popen[bytes]) -> None:
    """SIGTERM cancels a run. SIGKILL of the leader alone: its templates see it gone, and kill
    the groups of its tasks, which a signal to its own group would not reach."""
    if popen.poll() is not None:
        return
    popen.terminate()
    deadline = time.monotonic() + _GRACE_S
    try:
        popen.wait(deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()
    except KeyboardInterrupt:
        popen.kill()
        popen.wait()
        raise
