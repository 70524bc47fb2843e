"""The process of one attempt: made ready, at work, and ended, whether forked or started anew.

It is told its attempt by a message, says "started" when user code is about to run, and how the
attempt ended when that is decided; then it has a few seconds for `atexit`, watched over by its
template. "Leaving" is its last word, when all that is left is to give back its memory: nothing
that it started is running. It leads a session of its own, adopts what it daemonises, and dies
with its template.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
from pathlib import Path
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import TYPE_CHECKING, Any, NoReturn

from eventflow import context
from eventflow.execution.loading import load
from eventflow.execution.messages import Begin, Message, Messages, Start, pack
from eventflow.execution.output import flush_streams, open_streams
from eventflow.execution.process_tree import adopt_orphans, children, die_with
from eventflow.execution.task import Attempt

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.model.task import RunPlan

__all__ = ["HANDLED", "REHEARSE", "live", "live_in_new_interpreter"]

HANDLED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
"""The signals that mean something to a template, and the usual thing to a task."""

REHEARSE: Message = {"do": "rehearse"}
"""Told to a fork that waits: its attempt is the next one. It need not be heeded."""

_STARTED = pack({"is": "started"})
_LEAVING = pack({"is": "leaving"})
_READ_BYTES = 256 * 1024


def live(
    parent: int,
    template: socket.socket,
    prepare: Callable[[], tuple[Loaded, World]],
    known: RunPlan | None = None,
    *,
    rehearse: Callable[[], object] | None = None,
) -> NoReturn:
    """Be the process of the attempt that `template` names next, to its end.

    `parent` is the template's process. `prepare` gives what a fork has, and what a fresh
    interpreter makes: the flow's module, and a world in which nothing is connected yet. `known`
    is the run of an attempt that comes without one. `rehearse` is done when the template says so.
    """
    status = 1
    try:
        _become_its_own(parent)
        message, run = _next_message(template)
        while message == REHEARSE:
            if rehearse is not None and not _is_called(template):
                rehearse()
            message, run = _next_message(template)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # an interrupt is for an attempt
        start = Start.from_message(message, run)
        _redirect(start.folder)
        _work(start, template, prepare, known)
        atexit._run_exitfuncs()
        flush_streams()
        if not children():
            template.sendall(_LEAVING)
        status = 0
    except BaseException as error:  # noqa: BLE001 - a fork must not return to its template's code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        flush_streams()
        os._exit(status)


def live_in_new_interpreter(connect: Callable[[str], World], template: socket.socket) -> NoReturn:
    """The same in a fresh interpreter, which is told what to import first."""
    faulthandler.enable(2)
    begin = Begin.from_message(_next_message(template)[0])

    def prepare() -> tuple[Loaded, World]:
        world = connect(begin.settings)
        context.use(world)
        return load(Path(begin.code_root), begin.code_file), world

    live(begin.parent, template, prepare)


def _work(
    start: Start,
    template: socket.socket,
    prepare: Callable[[], tuple[Loaded, World]],
    known: RunPlan | None,
) -> None:
    loaded, world = prepare()
    context.use(world)
    template.sendall(_STARTED)
    attempt = Attempt(start.plan(known), world, start.folder, _teller(template))
    if start.post_mortem:
        report = attempt.bury(start.post_mortem, start.hides)
    else:
        report = attempt.run(loaded)
    template.sendall(report.to_message())


def _teller(template: socket.socket) -> Callable[[tuple[str, ...]], None]:
    """Tells the template what has to be hidden in what the attempt prints: it has others keep
    that."""
    return lambda values: template.sendall(pack({"is": "hides", "values": values}))


def _next_message(template: socket.socket) -> tuple[Message, bytes]:
    """Wait for one message, and take no byte of what follows it."""
    messages = Messages()
    while True:
        data = template.recv(min(_READ_BYTES, messages.missing_bytes))
        if not data:
            os._exit(0)  # the template is gone, or has no use for this process
        for message in messages.feed(data):
            return message


def _is_called(template: socket.socket) -> bool:
    try:
        template.recv(1, MSG_PEEK | MSG_DONTWAIT)
    except BlockingIOError:
        return False
    return True


def _become_its_own(parent: int) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    adopt_orphans()
    die_with(parent, signal.SIGKILL)
    _reseed()


def _redirect(folder: str) -> None:
    for number, opened in enumerate(open_streams(folder), start=1):
        os.dup2(opened, number)
        os.close(opened)


def _reseed() -> None:
    """Forks of one process would draw the same numbers otherwise; `random` sees to it itself."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
