"""A server that a test starts from the cache, and may kill, pause and restart.

What all of them guarantee: a started server answers; after `kill` and `restart` it is on the
same port with the data that it had acknowledged; `stop` leaves neither process nor data behind.
"""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.servers.processes import ServerProcess


class LocalServer(ABC):
    """One process and its folder. `folder` is None before `start` and after `stop`."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._process: ServerProcess | None = None

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is there and takes requests."""

    @abstractmethod
    def _prepare(self, folder: Path) -> None:
        """Put what the server needs into its new folder."""

    @abstractmethod
    def _command(self, folder: Path) -> list[str]:
        """What starts it."""

    def _env(self) -> Mapping[str, str]:
        """What its environment has besides ours."""
        return {}

    @property
    def pid(self) -> int:
        """The server's process; only while it runs."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def start(self) -> None:
        """A new server without data, ready when this returns."""
        self.prepare()
        self.restart()

    def prepare(self) -> None:
        """Its folder, without a process."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"eventflow-{self.name.lower()}-"))
        self._prepare(self.folder)

    def kill(self) -> None:
        """The server's machine burns down (SIGKILL); the disk is saved."""
        self._running().kill()
        self._process = None

    def restart(self) -> None:
        """The server again, after `kill`; ready when this returns."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """The server's process on its port and data; it may not answer yet."""
        assert self.folder is not None, "start() comes first"
        assert self._process is None, "still running"
        command = self._command(self.folder)
        self._process = ServerProcess(self.name, command, self.folder, self._env())

    def wait(self) -> None:
        """Until it answers.

        Raises:
            ServerFailed: it ended, or does not answer for long. (*Seen*: a broker of three that
                comes back needs over a minute on two cores on which twenty processes are at work.)
        """
        self._running().wait_until(self.answers, timeout=150.0)

    def pause(self) -> None:
        """The server hangs (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """A paused server goes on."""
        self._running().resume()

    def stop(self) -> None:
        """Ends the server and removes its data, for which no clean shutdown is needed."""
        if self._process is not None:
            self.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _running(self) -> ServerProcess:
        assert self._process is not None, "not running"
        return self._process
