"""Makes the processes of attempts in a template: forks, kept ready, or fresh interpreters.

A fork costs milliseconds that nobody waits for when it is made before it is needed: so there are
some that have everything but their attempt. They are made a few at a time, since after a fork
this process copies whatever memory it writes to, once for all that were made together. When forks
turn out not to work, there are no more.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventflow.execution.channel import Channel
from eventflow.execution.messages import decode_run, pack
from eventflow.execution.output import flush_streams
from eventflow.execution.process_tree import kill, reap
from eventflow.execution.task_process import HANDLED, REHEARSE, live

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.execution.messages import Begin, Start
    from eventflow.model.task import RunPlan

__all__ = ["Launcher", "Process"]

_AT_ONCE = 3
_REHEARSE = pack(REHEARSE)


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
        rehearse: Callable[[], object],
    ) -> None:
        """`let_go` closes, in a fork, what is the template's own: its sockets above all;
        `rehearse` is what the fork does that is the next one, while it waits."""
        self._begin = replace(begin, parent=os.getpid())
        self._loaded, self._world = loaded, world
        self._let_go, self._rehearse = let_go, rehearse
        self._forks = forks
        self._spares: list[Process] = []
        # A run is decoded once, here, and not by each of its tasks.
        self._latest = b""
        self._known: tuple[bytes, RunPlan | None] = b"", None

    @property
    def pids(self) -> set[int]:
        """The processes that are kept ready."""
        return {each.pid for each in self._spares}

    def launch(self, start: Start) -> Process:
        """Have an attempt run in a process of its own.

        Raises:
            OSError: there can be no further process.
        """
        if self._spares:
            process = self._spares.pop(0)
        else:
            process = self._fork() if self._forks else self._spawn()
        self._latest = start.run
        process.channel.send(start.to_message(with_run=process.knows != start.run))
        self._have_next_rehearse()
        return process

    def keep_ready(self) -> None:
        """See to it that the next attempt need not wait for a fork; before the first one that
        takes one process, then a few."""
        if not self._forks or self._spares:
            return
        if self._known[0] != self._latest:
            self._known = self._latest, decode_run(self._latest)
        with suppress(OSError):  # the launch will fail of it, and say so
            for _ in range(_AT_ONCE if self._latest else 1):
                self._spares.append(self._fork())
        self._have_next_rehearse()

    def bury_the_dead(self) -> None:
        """Look whether one that is kept ready has ended."""
        if any(reap(each.pid) is not None for each in self._spares):
            # It had nothing to do yet: what the module left in it does not survive a fork.
            self.give_up_forks()

    def give_up_forks(self) -> None:
        """Use fresh interpreters from now on."""
        self._forks = False
        spares, self._spares = self._spares, []
        for spare in spares:
            kill(spare.pid)
            spare.channel.close()

    def _have_next_rehearse(self) -> None:
        # One at a time: all at once would be in the way of the tasks that run.
        if self._spares:
            self._spares[0].channel.send(_REHEARSE)

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
            for other in self._spares:
                other.channel.close()
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
