"""The process of one attempt: made ready, at work, and ended, whether forked or started anew.

It says "started" when user code is about to run, and how the attempt ended when that is decided;
then it has a few seconds for `atexit`, watched over by its template. It leads a session of its
own, adopts what it daemonises, and dies with its template.
"""

from __future__ import annotations

import atexit
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from eventflow import context
from eventflow.execution.loading import load
from eventflow.execution.messages import Begin, Messages, Start, pack
from eventflow.execution.output import flush_streams, open_streams
from eventflow.execution.process_tree import adopt_orphans, die_with
from eventflow.execution.task import Attempt

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.loading import Loaded

__all__ = ["HANDLED", "live", "run_in_new_interpreter"]

HANDLED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
"""The signals that mean something to a template, and the usual thing to a task."""

_STARTED = pack({"is": "started"})


def live(
    start: Start,
    parent: int,
    report: socket.socket,
    prepare: Callable[[], tuple[Loaded, World]],
) -> NoReturn:
    """Be the process of an attempt, to its end; `parent` is its template."""
    status = 1
    try:
        _become_its_own(Path(start.folder), parent)
        loaded, world = prepare()
        context.use(world)
        report.sendall(_STARTED)
        attempt = Attempt(start.plan(), world, Path(start.folder))
        ended = attempt.bury(start.post_mortem) if start.post_mortem else attempt.run(loaded)
        report.sendall(ended.to_message())
        atexit._run_exitfuncs()
        status = 0
    except BaseException as error:  # noqa: BLE001 - a fork must not return to its template's code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        flush_streams()
        os._exit(status)


def run_in_new_interpreter(
    connect: Callable[[str], World], instructions: int, report: socket.socket
) -> NoReturn:
    """Be that process in a fresh interpreter: `instructions` is a file with begin and start."""
    with os.fdopen(instructions, "rb") as file:
        (begin_message, _), (start_message, run) = Messages().feed(file.read())
    begin, start = Begin.from_message(begin_message), Start.from_message(start_message, run)

    def prepare() -> tuple[Loaded, World]:
        world = connect(begin.settings)
        context.use(world)
        return load(Path(begin.code_root), begin.code_file), world

    live(start, begin.parent, report, prepare)


def _become_its_own(folder: Path, parent: int) -> None:
    os.setsid()
    _forget_handlers()
    adopt_orphans()
    die_with(parent, signal.SIGKILL)
    for number, opened in enumerate(open_streams(folder), start=1):
        os.dup2(opened, number)
        os.close(opened)
    _reseed()


def _forget_handlers() -> None:
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _reseed() -> None:
    """Forks of one process would draw the same numbers otherwise."""
    random.seed()
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
