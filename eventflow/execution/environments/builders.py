"""The environments of an executor: those that are there, and the builds under way.

Each build is a process; those who want the same environment wait for the same one. Nothing here
waits: an executor looks at the channels of the builds with its others.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from eventflow.execution.channel import Channel
from eventflow.execution.environments.builder import Order
from eventflow.execution.environments.building import Place, find
from eventflow.execution.environments.request import request_of
from eventflow.execution.environments.usage import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from selectors import BaseSelector

    from eventflow.execution.environments.building import Environment
    from eventflow.execution.environments.request import Request
    from eventflow.model.policy import Packages

__all__ = ["Build", "Builders", "Wanted"]

_log = structlog.get_logger(__name__)
_LOG_BYTES = 400
_DYING_S = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment that a step of a project is to have."""

    project: str
    request: Request

    @property
    def text(self) -> str:
        """For people: `numpy==1.26, six on Python 3.12`."""
        packages = ", ".join(self.request.requirements) or "no packages"
        return f"{packages} on Python {self.request.python}"


class Build:
    """A build under way, whose `channel` is registered with the selector until its end."""

    def __init__(
        self, command: Sequence[str], order: Order, log: Path, selector: BaseSelector
    ) -> None:
        """
        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        self._log, self._selector = log, selector
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
        self._began_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._began_at

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
        self._selector.unregister(self.channel)
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

    def __init__(
        self,
        command: Sequence[str],
        settings: str,
        cache: Path,
        store_url: str,
        *,
        on_end: Callable[[float, bool], None] = lambda *_: None,
    ) -> None:
        """`command` starts the program of a builder, whose `connect` understands `settings`; the
        environments are in `cache`, their locks in the store at `store_url`. `on_end` is told of
        each build how many seconds it took, and whether it went well."""
        self._command, self._settings, self._on_end = tuple(command), settings, on_end
        self._cache, self._store_url = cache, store_url
        self._under_way: dict[Wanted, Build] = {}
        self._known: dict[Wanted, Environment] = {}
        self._held: dict[str, int] = {}

    @staticmethod
    def wanted(project: str, packages: Packages) -> Wanted:
        """What a step of a project asks for.

        Raises:
            EnvironmentUnavailable: eventflow is not installed here.
        """
        return Wanted(project, request_of(packages))

    def find(self, wanted: Wanted) -> Environment | None:
        """The environment, when it is there. Nobody removes it before `let_go`, nor while a
        process goes on that has inherited its `holds`."""
        known = self._known.get(wanted) or find(self._place(wanted), wanted.request)
        if known is None or not self._hold(known):
            self._known.pop(wanted, None)
            return None
        self._known[wanted] = known
        return known

    def _hold(self, environment: Environment) -> bool:
        if environment.folder not in self._held:
            descriptor = hold(Path(environment.folder))
            if descriptor is None:
                return False
            self._held[environment.folder] = descriptor
        return True

    def holds(self, environment: Environment | None) -> Sequence[int]:
        """The descriptors that a process in an environment that was found has to inherit."""
        return [] if environment is None else [self._held[environment.folder]]

    def let_go(self) -> None:
        """What was found so far is kept in its place by the processes in it alone."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def begin(self, wanted: Wanted, log: Path, selector: BaseSelector) -> None:
        """Have it built, unless it is being built. What the selector finds to read under the key
        `wanted` is a reason to ask whether it has ended.

        Raises:
            OSError: no process can be started.
        """
        if wanted not in self._under_way:
            order = Order(os.getpid(), self._settings, self._place(wanted), wanted.request)
            build = self._under_way[wanted] = Build(self._command, order, log, selector)
            selector.register(build.channel, selectors.EVENT_READ, wanted)

    def ended(self, wanted: Wanted) -> str | None:
        """None while a build goes on; else why there is no environment, empty when there is one.
        The build is over then, and its channel closed."""
        build = self._under_way[wanted]
        if not build.hear():
            return None
        del self._under_way[wanted]
        seconds, reason = round(build.seconds, 3), build.end()
        self._on_end(seconds, not reason)
        _log.info("environment.ended", wanted=wanted.text, seconds=seconds, reason=reason)
        return reason

    def close(self) -> None:
        """End the builds that are under way."""
        for build in self._under_way.values():
            build.end()
        self._under_way.clear()
        self.let_go()

    def _place(self, wanted: Wanted) -> Place:
        return Place(self._cache, self._store_url, wanted.project)
