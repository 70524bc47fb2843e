"""The environments of an executor: those that are there, and the builds under way.

Each build is a process; those who want the same environment wait for the same one. Nothing here
waits: an executor looks at the channels of the builds with its others.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.execution.channel import Channel
from eventflow.execution.environments.builder import Order
from eventflow.execution.environments.building import Place, find
from eventflow.execution.environments.request import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventflow.execution.environments.building import Environment
    from eventflow.execution.environments.request import Request
    from eventflow.model.policy import Packages

__all__ = ["Build", "Builders", "Wanted"]

_LOG_BYTES = 400
_DYING_S = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment that a step of a project is to have."""

    project: str
    request: Request


class Build:
    """A build under way. `channel` has something to read when it may have ended."""

    def __init__(self, command: Sequence[str], order: Order, log: Path) -> None:
        """
        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        self._log = log
        with theirs, log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.channel = Channel(ours)
        self.channel.send(order.to_message())
        self._failure: str | None = None

    def hear(self) -> bool:
        """Take note of what it said; whether it has ended."""
        self.channel.flush()
        for message, _ in self.channel.receive():
            self._failure = "" if message["is"] == "built" else str(message["reason"])
        return self.channel.is_closed

    def end(self) -> str:
        """End it and all that it started; why there is no environment, empty when there is one."""
        if self.channel.is_closed:  # it is about to leave by itself, with a code of its own
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_DYING_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self.channel.close()
        last_words = self._last_words()
        self._log.unlink(missing_ok=True)
        if self._failure is not None:
            return self._failure
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"the process that built it {how}{last_words}"

    def _last_words(self) -> str:
        with suppress(FileNotFoundError):
            log = self._log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
            lines = log.strip().splitlines()
            return f": {lines[-1].strip()}" if lines else ""
        return ""


class Builders:
    """Those of one executor. Its thread must live as long as it: the builds die with that."""

    def __init__(self, command: Sequence[str], settings: str, cache: Path, store_url: str) -> None:
        """`command` starts the program of a builder, whose `connect` understands `settings`; the
        environments are in `cache`, their locks in the store at `store_url`."""
        self._command, self._settings = tuple(command), settings
        self._cache, self._store_url = cache, store_url
        self._under_way: dict[Wanted, Build] = {}

    @staticmethod
    def wanted(project: str, packages: Packages) -> Wanted:
        """What a step of a project asks for.

        Raises:
            EnvironmentUnavailable: eventflow is not installed here.
        """
        return Wanted(project, request_of(packages))

    def find(self, wanted: Wanted) -> Environment | None:
        """The environment, when it is there."""
        return find(self._place(wanted), wanted.request)

    def build(self, wanted: Wanted, log: Path) -> Build | None:
        """Have it built; the new build, None when one is under way already.

        Raises:
            OSError: no process can be started.
        """
        if wanted in self._under_way:
            return None
        order = Order(os.getpid(), self._settings, self._place(wanted), wanted.request)
        self._under_way[wanted] = Build(self._command, order, log)
        return self._under_way[wanted]

    def ended(self) -> Iterator[tuple[Wanted, Build]]:
        """The builds that have ended, each once; whoever takes one ends it."""
        for wanted, build in tuple(self._under_way.items()):
            if build.hear():
                yield wanted, self._under_way.pop(wanted)

    def give_up(self, kept: set[Wanted]) -> Iterator[Build]:
        """The builds that nobody waits for, each once; whoever takes one ends it."""
        for wanted in self._under_way.keys() - kept:
            yield self._under_way.pop(wanted)

    def _place(self, wanted: Wanted) -> Place:
        return Place(self._cache, self._store_url, wanted.project)
