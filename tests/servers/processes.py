"""Server processes of a test session: started, watched, killed, never left behind.

A server runs in a process group of its own under `guard.py`, so that a signal to the test run
(Ctrl-C) does not reach it, and the end of the test run, also by SIGKILL, ends it. Its output
goes to a file; whoever waits for a server that ended early is told the end of that file.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.eventually import eventually

_GUARD = Path(__file__).with_name("guard.py")
# Below the range that the system hands to outgoing connections: a client that reconnects to a
# stopped server could otherwise be given the server's own port, and keep it from coming back.
_PORTS = range(20_000, 32_000)
_LOG_TAIL_LINES = 30


class ServerFailed(Exception):
    """A server ended by itself, or never answered; the message has the end of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"no free port among 200 between {_PORTS.start} and {_PORTS.stop}")


def run_to_end(name: str, command: Sequence[str]) -> None:
    """Runs a tool of a server; ServerFailed with what it said when it does not succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise ServerFailed(f"{name} failed:\n{done.stdout}{done.stderr}")


class ServerProcess:
    """One running server. `pid` is the server's own, for looking at it.

    `folder` has its data and its log, `server.log`, at `log`; it goes too when the test run is
    killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self.log = folder / "server.log"
        with self.log.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-E", "-S", str(_GUARD), str(os.getpid()), str(folder), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                text=True,
            )
        assert self._guard.stdout is not None
        with self._guard.stdout as first_line:
            self.pid = self._read_pid(first_line.readline())

    def _read_pid(self, line: str) -> int:
        if not line.strip():
            self._guard.wait()
            raise self._failure("could not be started")
        return int(line)

    def wait_until(self, is_ready: Callable[[], object], timeout: float = 60.0) -> None:
        """Returns when `is_ready` says so; ServerFailed at once when the server has ended."""

        def ready_or_ended() -> bool:
            return self._guard.poll() is not None or bool(is_ready())

        try:
            eventually(ready_or_ended, timeout, f"{self._name} does not answer")
        except AssertionError as error:
            raise self._failure(str(error)) from error
        if self._guard.poll() is not None:
            raise self._failure(f"ended with status {self._guard.returncode}")

    def pause(self) -> None:
        """Stops the server's clock (SIGSTOP): it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused server go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when the server is gone and its ports are free."""
        self._signal(signal.SIGKILL)
        self._guard.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The guard reaps the server: while it runs, the pid is the server's.
        if self._guard.poll() is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def _failure(self, what: str) -> ServerFailed:
        lines = self.log.read_text(errors="replace").splitlines()
        tail = "\n".join(lines[-_LOG_TAIL_LINES:]) or "(empty)"
        return ServerFailed(f"{self._name} {what}; the end of its log {self.log}:\n{tail}")
