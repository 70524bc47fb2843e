"""`parallel_map` and `parallel_imap_unordered`: calls of one function, each in a fork of its own.

A fork has all that this process has, so that closures and large values need no copy; what the
function gives comes back pickled, through a file. A fork should compute only: connections of this
process, such as those that publish events, are not to be used in it.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from eventflow.errors import CallFailed, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["parallel_imap_unordered", "parallel_map"]

A = TypeVar("A")
R = TypeVar("R")

_LOOK_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class _Call:
    """One call at work. `ended` can be read as soon as its process is done."""

    index: int
    pid: int
    ended: int
    answer: Path

    def result(self, status: int | None) -> Any:
        """What the function gave; raises what it raised, with the traceback of there. `status` is
        that of the process where it was waited for."""
        os.close(self.ended)
        if status is None:
            _, status = os.waitpid(self.pid, 0)
        try:
            is_value, found, text = pickle.loads(self.answer.read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            code = os.waitstatus_to_exitcode(status)
            how = (
                f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            )
            raise CallFailed(
                f"The process of call {self.index} {how} before the function returned."
            ) from None
        self.answer.unlink()
        if is_value:
            return found
        if found is None:
            raise CallFailed(f"Call {self.index} failed, in a process of its own:\n{text}")
        found.add_note(f"In the process of call {self.index}:\n{text}")
        raise found

    def end(self) -> None:
        """Kill it."""
        os.close(self.ended)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def parallel_map(
    func: Callable[[A], R],
    iterable: Iterable[A],
    max_parallel: int | None = None,
    dir: str | None = None,  # noqa: A002 - Metaflow's name of it
) -> list[R]:
    """`[func(each) for each in iterable]`, in order, by up to `max_parallel` processes at a time,
    as many as the machine has processors without. `dir` is for its temporary files.

    Raises what a call raises, with the traceback as a note; the calls at work are killed then.

    Raises:
        CallFailed: a process ended early, or its error cannot be pickled.
        InvalidOption: `max_parallel` is no number of processes.
    """
    found = dict(_results(func, iterable, _most(max_parallel), dir))
    return [found[index] for index in sorted(found)]


def parallel_imap_unordered(
    func: Callable[[A], R],
    iterable: Iterable[A],
    max_parallel: int | None = None,
    dir: str | None = None,  # noqa: A002 - Metaflow's name of it
) -> Iterator[R]:
    """The same, each result as soon as it is there. Calls begin when the first is asked for; those
    at work are killed when the iterator is closed."""
    results = _results(func, iterable, _most(max_parallel), dir)
    return (result for _, result in results)


def _most(max_parallel: object) -> int:
    """How many calls run at a time; by default as many as this process has processors for."""
    if max_parallel is None:
        has_affinity = hasattr(os, "sched_getaffinity")  # macOS has none
        return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if isinstance(max_parallel, bool) or not isinstance(max_parallel, int) or max_parallel < 1:
        raise InvalidOption(
            f"max_parallel={max_parallel!r}: at least one call runs at a time, give a whole number."
        )
    return max_parallel


def _results(
    func: Callable[[A], R], iterable: Iterable[A], most: int, folder: str | None
) -> Iterator[tuple[int, R]]:
    waiting = enumerate(iterable)
    with (
        TemporaryDirectory(prefix="parallel_map_", dir=folder) as answers,
        selectors.DefaultSelector() as at_work,
    ):

        def begin(calls: Iterable[tuple[int, A]]) -> None:
            for index, argument in calls:
                call = _begun(index, func, argument, Path(answers, str(index)))
                at_work.register(call.ended, selectors.EVENT_READ, call)

        try:
            begin(islice(waiting, most))
            while at_work.get_map():
                for call, status in _ended(at_work):
                    at_work.unregister(call.ended)
                    result = call.result(status)
                    begin(islice(waiting, 1))
                    yield call.index, result
        finally:
            for key in list(at_work.get_map().values()):
                key.data.end()


def _ended(at_work: selectors.BaseSelector) -> list[tuple[_Call, int | None]]:
    """Those that are done, at least one, with the status of one that was waited for.

    A killed process says nothing, and what it has started may keep its pipe open.
    """
    while True:
        ready = at_work.select(_LOOK_AGAIN_S)
        if ready:
            return [(key.data, None) for key, _ in ready]
        for key in at_work.get_map().values():
            pid, status = os.waitpid(key.data.pid, os.WNOHANG)
            if pid:
                return [(key.data, status)]


def _begun(index: int, func: Callable[[A], R], argument: A, answer: Path) -> _Call:
    sys.stdout.flush()
    sys.stderr.flush()
    ended, alive = os.pipe()
    pid = os.fork()
    if not pid:
        _call(func, argument, answer, alive)
    os.close(alive)
    return _Call(index, pid, ended, answer)


def _call(func: Callable[[A], R], argument: A, answer: Path, alive: int) -> NoReturn:
    """In the fork: call, leave the answer and end. Nothing of the parent's stack goes on here."""
    code = 1
    try:
        answer.write_bytes(_answered(func, argument))
        code = 0
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(alive, b".")  # a process that the function left behind may keep it open
        os._exit(code)


def _answered(func: Callable[[A], R], argument: A) -> bytes:
    try:
        return pickle.dumps((True, func(argument), ""), pickle.HIGHEST_PROTOCOL)
    except BaseException as error:  # noqa: BLE001 - it goes to the parent, which raises it
        text = traceback.format_exc()
        if not isinstance(error, Exception):  # an exit, which is this process's alone
            return pickle.dumps((False, None, text))
        try:
            answer = pickle.dumps((False, error, text))
            pickle.loads(answer)
        except Exception:  # noqa: BLE001 - it is told as text then
            answer = pickle.dumps((False, None, text))
        return answer
