"""A template process as its executor sees it: what it was told, what it said, how it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from eventflow.execution.channel import Channel
from eventflow.execution.messages import pack
from eventflow.execution.process_tree import oom_kills

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from eventflow.execution.messages import Begin, Message, Start

__all__ = ["TemplateProcess"]

_CLOSE = pack({"do": "close"})
_LOG_BYTES = 400
_DYING_S = 0.5
_OUT_OF_MEMORY = ": this machine was out of memory"


class TemplateProcess:
    """Started in a session of its own; it imports the flow while the executor goes on.
    `left_for_silence`: it killed its attempts and ended, because the executor did not tick.

    The thread that makes this must live as long as the executor: the template dies with it.
    """

    def __init__(
        self, begin: Begin, log: Path, variables: Mapping[str, str], *, keeps: Sequence[int] = ()
    ) -> None:
        """`variables` are all of its environment. It inherits the descriptors that it `keeps`,
        and so do its attempts.

        Raises:
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        self._log = log
        with theirs, log.open("wb") as output:
            self._process = subprocess.Popen(
                [*begin.command, "serve", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno(), *keeps],
                start_new_session=True,
                env=variables,
            )
        self.channel = Channel(ours)
        self.channel.send(begin.to_message())
        self.pids: dict[int, int] = {}
        self._oom_kills = oom_kills()
        self._is_ready = False
        self._reason = ""
        self.left_for_silence = False

    def start(self, start: Start) -> None:
        """Start an attempt, after the import where that is not done yet."""
        self.channel.send(start.to_message())

    def interrupt(self, run_id: str, epoch: int) -> None:
        """Send SIGINT to the attempts of one execution."""
        self.channel.send(pack({"do": "interrupt", "run_id": run_id, "epoch": epoch}))

    def kill(self, run_id: str, epoch: int) -> None:
        """Kill the attempts of one execution."""
        self.channel.send(pack({"do": "kill", "run_id": run_id, "epoch": epoch}))

    def tick(self) -> None:
        """Say that the runner is alive. Left out while it is not listening: it reads them all."""
        if not self.channel.has_unsent:
            self.channel.send(pack({"do": "tick", "at": time.monotonic()}))

    def receive(self) -> list[Message]:
        """What it said of its attempts."""
        # A fork of it that has just begun may hold its end of the channel for a moment.
        has_ended = self._process.poll() is not None
        self.channel.flush()
        said = [message for message, _ in self.channel.receive()]
        for message in said:
            self._note(message)
        self.channel.is_closed |= has_ended
        return said

    def _note(self, message: Message) -> None:
        match message["is"]:
            case "ready":
                self._is_ready = True
            case "started":
                self.pids[message["number"]] = message["pid"]
            case "ended":
                self.pids.pop(message["number"], None)
            case "gone":
                self._reason = message["reason"]
                self.left_for_silence = message["is_silence"]

    @property
    def is_gone(self) -> bool:
        """Whether it has ended; what it said before has been received then."""
        return self.channel.is_closed

    def bury(self) -> str:
        """After its end: kill what it may have left behind; why it ended, in one line."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DYING_S)
        last_words = self._last_words()
        self.destroy()
        return self._reason or f"its template process {self._exit()}{last_words}"

    def ask_to_close(self) -> None:
        """Have it kill its attempts, keep their output, and end."""
        self.channel.send(_CLOSE)

    def close(self, patience: timedelta) -> None:
        """Wait for its end, and make it."""
        self.receive()
        if not self._is_ready:  # it imports, and does not listen: there is nothing to wait for
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience.total_seconds())
        self.destroy()

    def destroy(self) -> None:
        """End it and its attempts at once, in whatever state they are."""
        self._process.kill()
        for pid in self.pids.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self.pids.clear()
        self._process.wait()
        self.channel.close()
        with suppress(FileNotFoundError):
            self._log.unlink()

    def _exit(self) -> str:
        code = self._process.returncode
        if code >= 0:
            return f"ended with exit code {code}"
        is_want = code == -signal.SIGKILL and oom_kills() > self._oom_kills
        return f"was killed by signal {-code}{_OUT_OF_MEMORY if is_want else ''}"

    def _last_words(self) -> str:
        log = self._log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
        lines = log.strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""
