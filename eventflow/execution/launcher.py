"""Makes the processes of attempts in a template: forks, one kept ready, or fresh interpreters.

A fork costs milliseconds that nobody waits for when it is made before it is needed: so there is
one that has everything but its attempt. When forks turn out not to work, there are no more.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventflow.execution.channel import Channel
from eventflow.execution.messages import decode_run
from eventflow.execution.output import flush_streams
from eventflow.execution.process_tree import kill, reap
from eventflow.execution.task_process import HANDLED, live

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.execution.messages import Begin, Start
    from eventflow.model.task import RunPlan

__all__ = ["Launcher", "Process"]


@dataclass(frozen=True, slots=True)
class Process:
    """A process for one attempt, a child of this one. It has the run in its memory whose bytes
    are `knows`."""

    pid: int
    channel: Channel
    is_forked: bool
    knows: bytes = b""


class Launcher:
    """Launches the attempts of one template."""

    def __init__(
        self,
        begin: Begin,
        loaded: Loaded,
        world: World,
        *,
        forks: bool,
        let_go: Callable[[], None],
        rehearse: Callable[[], None],
    ) -> None:
        """`let_go` closes, in a fork, what is the template's own: its sockets above all;
        `rehearse` is for a fork that waits."""
        self._begin = replace(begin, parent=os.getpid())
        self._loaded, self._world = loaded, world
        self._let_go, self._rehearse = let_go, rehearse
        self._forks = forks
        self._spare: Process | None = None
        # A run is decoded once, here, and not by each of its tasks.
        self._latest = b""
        self._known: tuple[bytes, RunPlan | None] = b"", None

    @property
    def pids(self) -> set[int]:
        """The process that is kept ready."""
        return {self._spare.pid} if self._spare is not None else set()

    def launch(self, start: Start) -> Process:
        """Have an attempt run in a process of its own.

        Raises:
            OSError: there can be no further process.
        """
        spare, self._spare = self._spare, None
        process = spare or (self._fork() if self._forks else self._spawn())
        self._latest = start.run
        process.channel.send(start.to_message(with_run=process.knows != start.run))
        return process

    def keep_ready(self) -> None:
        """See to it that the next attempt need not wait for a fork."""
        if self._spare is not None and reap(self._spare.pid) is not None:
            # It had nothing to do yet: what the module left in it does not survive a fork.
            self.give_up_forks()
        if self._forks and self._spare is None:
            if self._known[0] != self._latest:
                self._known = self._latest, decode_run(self._latest)
            with suppress(OSError):  # the launch will fail of it, and say so
                self._spare = self._fork()

    def give_up_forks(self) -> None:
        """Use fresh interpreters from now on."""
        self._forks = False
        spare, self._spare = self._spare, None
        if spare is not None:
            kill(spare.pid)
            spare.channel.close()

    def _fork(self) -> Process:
        ours, theirs = socket.socketpair()
        with theirs:
            channel = Channel(ours)
            flush_streams()
            parent = os.getpid()
            signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
            pid = -1
            try:
                pid = os.fork()
            finally:
                if pid != 0:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
            if pid == 0:
                self._be_a_fork(parent, channel, theirs)
            return Process(pid, channel, is_forked=True, knows=self._known[0])

    def _be_a_fork(self, parent: int, ours: Channel, theirs: socket.socket) -> None:
        try:
            ours.close()
            self._let_go()
            ready = self._loaded, self._world
            live(parent, theirs, lambda: ready, self._known[1], rehearse=self._rehearse)
        finally:
            os._exit(1)  # a fork must never go on as a second template

    def _spawn(self) -> Process:
        ours, theirs = socket.socketpair()
        with theirs:
            channel = Channel(ours)
            channel.send(self._begin.to_message())
            theirs.set_inheritable(True)
            command = [*self._begin.command, "task", str(theirs.fileno())]
            pid = os.posix_spawn(command[0], command, os.environ)
            return Process(pid, channel, is_forked=False)
