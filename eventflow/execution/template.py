"""The warm template process: the flow's module imported once, each task a fork of it.

Flow: an executor starts it and says `begin` → it imports the module, freezes the heap, and forks
a child for each `start` → what the child reports goes back. It has one thread and makes no use of
bus or store itself. Guaranteed: every start gives one end; when a task ends, all that it started
is killed, daemons too; when the executor's process dies, or says nothing for the lease while
tasks run, everything is killed and the template ends (docs/protocols.md §6.6, §8).

What cannot be forked runs in a fresh interpreter instead, slower and otherwise the same.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import selectors
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from eventflow import context
from eventflow.errors import EventflowError
from eventflow.execution.channel import Channel
from eventflow.execution.launcher import Launcher, Process
from eventflow.execution.loading import load, survives_fork
from eventflow.execution.messages import Begin, Report, Start, pack
from eventflow.execution.process_tree import (
    adopt_orphans,
    children,
    die_with,
    interrupt,
    kill,
    kill_children,
    oom_kills,
    reap,
)
from eventflow.execution.rehearsal import Rehearsal
from eventflow.execution.scribe_process import ScribeProcess
from eventflow.model.completion import Outcome

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.execution.messages import Message

__all__ = ["serve"]

_FIRST_WORD = timedelta(seconds=2)
_LAST_WORDS = timedelta(seconds=5)
_BURIAL = timedelta(seconds=60)
_CLOSING = timedelta(seconds=2)
_PERISHING = timedelta(seconds=1)
_RESEND_S = 0.05
_SHOWN_AFTER = timedelta(seconds=1)
_PUBLISHING = "eventflow.authoring.event"


@dataclass(slots=True)
class _Child:
    """A process of an attempt. At its deadline it is killed.

    `is_stuck`: killed because a fork of this module said nothing; it is started anew.
    `is_unwanted`: killed on the runner's word. `is_late`: killed because its time was over.
    `is_told`: the executor knows its end. `shown_at`: then it is to be followed by the scribe.
    """

    start: Start
    process: Process
    deadline: float | None
    is_started: bool = False
    is_stuck: bool = False
    is_unwanted: bool = False
    is_late: bool = False
    is_told: bool = False
    shown_at: float | None = None
    report: Report | None = None


def serve(
    control: socket.socket,
    connect: Callable[[str], World],
    expect_publishing: Callable[[World], None],
) -> NoReturn:
    """Be a template process for the executor at the other end of `control`.

    `connect` makes a world of the executor's settings, `expect_publishing` imports what
    publishing in it takes; both contact nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    faulthandler.enable(2)  # a crash in C says where: here, and in the stderr of a forked attempt
    _Template(Channel(control), connect, expect_publishing).run()


class _Template:
    """The process. Of time it knows the monotonic clock: a machine that slept is no silence."""

    def __init__(
        self,
        control: Channel,
        connect: Callable[[str], World],
        expect_publishing: Callable[[World], None],
    ) -> None:
        self._control, self._connect = control, connect
        self._expect_publishing = expect_publishing
        self._pid = os.getpid()
        self._children: dict[int, _Child] = {}
        self._spared: set[int] = set()
        self._heard_at = time.monotonic()
        self._closes_at: float | None = None
        self._lease_s = 0.0
        self._launcher: Launcher | None = None
        self._scribe = ScribeProcess()
        self._oom_kills = oom_kills()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._alarm, self._wakeup = os.pipe()
        for end in (self._alarm, self._wakeup):
            os.set_blocking(end, False)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        adopt_orphans()
        self._handle_signals()

    def run(self) -> NoReturn:
        """Heed, reap, report, until the executor is gone.

        Each turn looks only at what has called: whatever this process touches is copied again
        after every fork. A process that ended, an orphan too, calls by SIGCHLD.
        """
        while True:
            calling = {key.fileobj for key, _ in self._selector.select(self._patience())}
            self._heed_executor()
            for child in tuple(self._children.values()):
                if child.process.channel in calling or child.process.channel.has_unsent:
                    self._listen(child)
            if self._alarm in calling:
                os.read(self._alarm, 4096)
                self._bury_the_dead()
            self._mind_the_time()
            if self._launcher is not None and self._closes_at is None:
                self._launcher.keep_ready()

    # ── the executor ─────────────────────────────────────────────────────────

    def _heed_executor(self) -> None:
        self._control.flush()
        for message, body in self._control.receive():
            self._heed(message, body)
        if self._control.is_closed:
            self._perish()

    def _heed(self, message: Message, body: bytes) -> None:
        match message["do"]:
            case "tick":
                self._heard_at = max(self._heard_at, message["at"])
            case "begin":
                self._warm_up(Begin.from_message(message))
            case "start":
                self._launch(Start.from_message(message, body))
            case "interrupt":
                self._interrupt(message["run_id"], message["epoch"])
            case "kill":
                self._kill(message["run_id"], message["epoch"])
            case "close":
                self._close()

    def _warm_up(self, begin: Begin) -> None:
        self._lease_s = begin.lease_s
        die_with(begin.parent, signal.SIGTERM)
        try:
            loaded, world = self._load(begin)
        except EventflowError as error:
            self._leave(str(error))
        self._handle_signals()  # again: the module may have set handlers of its own
        self._spared = children()
        rehearsal = Rehearsal(world)
        rehearsal.prepare()
        gc.collect()
        gc.freeze()
        self._scribe.begin(begin)
        self._launcher = Launcher(
            begin,
            loaded,
            world,
            forks=survives_fork(),
            let_go=self._let_go,
            rehearse=rehearsal.play,
        )
        self._control.send(pack({"is": "ready"}))

    def _load(self, begin: Begin) -> tuple[Loaded, World]:
        """Import the module, in a world of its own: nothing that it opens gets into a task."""
        passing = self._connect(begin.settings)
        context.use(passing)
        loaded = load(Path(begin.code_root), begin.code_file)
        context.use(None)
        passing.close()
        world = self._connect(begin.settings)
        _ = world.store  # its client is made here, once, and used in the forks only
        if _PUBLISHING in sys.modules:
            self._expect_publishing(world)
        return loaded, world

    def _interrupt(self, run_id: str, epoch: int) -> None:
        for child in self._children.values():
            if (child.start.run_id, child.start.key.epoch) == (run_id, epoch):
                child.is_unwanted = True
                if not child.start.post_mortem:
                    interrupt(child.process.pid)

    def _kill(self, run_id: str, epoch: int) -> None:
        for child in self._children.values():
            if (child.start.run_id, child.start.key.epoch) == (run_id, epoch):
                self._kill_unwanted(child)

    def _close(self) -> None:
        self._closes_at = time.monotonic() + _CLOSING.total_seconds()
        for child in self._children.values():
            self._kill_unwanted(child)

    def _kill_unwanted(self, child: _Child) -> None:
        child.is_unwanted = True
        if not child.start.post_mortem:
            kill(child.process.pid)

    # ── starting ─────────────────────────────────────────────────────────────

    def _launch(self, start: Start, *, is_unwanted: bool = False) -> None:
        assert self._launcher is not None, "begin comes before the first start"
        try:
            process = self._launcher.launch(start)
        except OSError as error:
            self._tell(start, Report(Outcome.FAILED, (), f"it cannot be started: {error}"))
            return
        limit = _BURIAL if start.post_mortem else None
        deadline = _from_now(_FIRST_WORD if process.is_forked else limit)
        self._children[process.pid] = _Child(start, process, deadline, is_unwanted=is_unwanted)
        self._selector.register(process.channel, selectors.EVENT_READ)

    def _let_go(self) -> None:
        # The numbers, and not the objects, of which a fork has no other use.
        channels = [self._control, *(each.process.channel for each in self._children.values())]
        ours = [self._selector.fileno(), self._alarm, self._wakeup, self._scribe.fileno()]
        for number in (*ours, *(each.fileno() for each in channels)):
            if number >= 0:
                os.close(number)

    # ── ending ───────────────────────────────────────────────────────────────

    def _listen(self, child: _Child) -> None:
        channel = child.process.channel
        channel.flush()
        for message, _ in channel.receive():
            self._hear(child, message)
        if channel.is_closed:
            with suppress(KeyError):  # unregistered already
                self._selector.unregister(channel)

    def _hear(self, child: _Child, message: Message) -> None:
        match message["is"]:
            case "started":
                child.is_started = True
                child.deadline = _from_now(_time_of(child.start))
                if not child.start.post_mortem:
                    child.shown_at = _from_now(_SHOWN_AFTER)
                started = {"number": child.start.number, "pid": child.process.pid}
                self._control.send(pack({"is": "started", **started}))
            case "hides":
                child.start = replace(child.start, hides=tuple(message["values"]))
            case "ended":
                child.report = Report.from_message(message)
                child.deadline = _from_now(_LAST_WORDS)
            case "leaving" if child.report is not None:
                self._tell(child.start, child.report)
                child.is_told = True

    def _bury_the_dead(self) -> None:
        for child in tuple(self._children.values()):
            self._reap(child)
        if self._launcher is not None:
            self._launcher.bury_the_dead()
        self._sweep()

    def _reap(self, child: _Child) -> None:
        status = reap(child.process.pid)
        if status is None:
            return
        self._listen(child)  # its last words
        del self._children[child.process.pid]
        with suppress(KeyError):
            self._selector.unregister(child.process.channel)
        child.process.channel.close()
        self._sweep()
        self._conclude(child, status)

    def _conclude(self, child: _Child, status: int) -> None:
        start = child.start
        if child.is_told:
            return
        if child.report is not None:
            self._tell(start, child.report)
        elif start.post_mortem:
            reason = f"{start.post_mortem}; its output could not be kept"
            self._tell(start, Report(Outcome.FAILED, (), reason))
        elif child.is_stuck and not child.is_unwanted:
            self._launch(start)
        else:
            reason = self._why_dead(child, status)
            self._launch(replace(start, post_mortem=reason), is_unwanted=child.is_unwanted)

    def _why_dead(self, child: _Child, status: int) -> str:
        if child.is_unwanted:
            return "stopped by its runner"
        if child.is_late:
            return f"it was killed after its timeout of {child.start.timeout_s:g} s"
        before, self._oom_kills = self._oom_kills, oom_kills()
        if self._oom_kills > before and os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
            return "its process was killed by SIGKILL: this machine was out of memory"
        return _cause_of_death(status)

    def _sweep(self) -> None:
        """Kill the orphans: a task adopts its own while it lives, so these have lost theirs."""
        ours = self._children.keys() | self._spared | self._scribe.pids
        if self._launcher is not None:
            ours |= self._launcher.pids
        for pid in children() - ours:
            kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def _tell(self, start: Start, report: Report) -> None:
        self._control.send(report.to_message(number=start.number))
        self._scribe.ended(start.number)

    # ── time ─────────────────────────────────────────────────────────────────

    def _patience(self) -> float | None:
        channels = [self._control, *(each.process.channel for each in self._children.values())]
        if any(each.has_unsent for each in channels):
            return _RESEND_S
        if not self._children:
            return None
        moments = [self._heard_at + self._lease_s, self._closes_at]
        for child in self._children.values():
            moments += (child.deadline, child.shown_at)
        return max(0.0, min(each for each in moments if each is not None) - time.monotonic())

    def _mind_the_time(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if child.deadline is not None and now > child.deadline:
                self._overdue(child)
            if child.shown_at is not None and now > child.shown_at:
                is_followed = self._scribe.follow(child.start)
                child.shown_at = None if is_followed else _from_now(_SHOWN_AFTER)
        if self._closes_at is not None and (not self._children or now > self._closes_at):
            self._perish()
        if self._children and now > self._heard_at + self._lease_s:
            self._leave(f"its runner was silent for {self._lease_s:g} s", is_silence=True)

    def _overdue(self, child: _Child) -> None:
        child.deadline = None
        child.is_late = child.is_started and child.report is None
        if child.process.is_forked and not child.is_started:
            # Something that the module holds does not survive a fork: no more of them.
            child.is_stuck = True
            if self._launcher is not None:
                self._launcher.give_up_forks()
        kill(child.process.pid)

    # ── the end ──────────────────────────────────────────────────────────────

    def _handle_signals(self) -> None:
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._perish())

    def _leave(self, reason: str, *, is_silence: bool = False) -> NoReturn:
        self._control.send(pack({"is": "gone", "reason": reason, "is_silence": is_silence}))
        self._perish()

    def _perish(self) -> NoReturn:
        if os.getpid() == self._pid:
            kill_children(_PERISHING, spare=self._scribe.pids)  # it ends by itself
        os._exit(1)


def _from_now(span: timedelta | None) -> float | None:
    return None if span is None else time.monotonic() + span.total_seconds()


def _time_of(start: Start) -> timedelta | None:
    """How long a process may take: one that buries an attempt, or one with a `@timeout`."""
    if start.post_mortem:
        return _BURIAL
    return timedelta(seconds=start.timeout_s) if start.timeout_s else None


def _cause_of_death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        names = [number.name for number in signal.Signals if number == -code]
        return f"its process was killed by {names[0] if names else f'signal {-code}'}"
    return f"its process ended with exit code {code} in the middle of the step (os._exit?)"
