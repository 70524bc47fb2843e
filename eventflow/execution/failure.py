"""Why user code failed, as its author wants to read it: one line, and a traceback without ours."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import (
    ArtifactNotStorable,
    ArtifactReadOnly,
    EventflowError,
    InvalidFlow,
    InvalidMerge,
    InvalidTransition,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Failure", "is_final"]

_LONGEST_MESSAGE = 300
_MISTAKES_OF_CODE = (InvalidFlow, ArtifactReadOnly, InvalidMerge)


@dataclass(frozen=True, slots=True)
class Failure:
    """`reason` is one line, `ValueError: no rows (train.py:31)`; `traceback` has several.
    `is_final` says that it is the code of the step that is wrong: another attempt is in vain."""

    reason: str
    traceback: str
    is_final: bool = False

    @classmethod
    def of(cls, error: BaseException, root: Path) -> Failure:
        """What `error` says to the author of the code below `root`."""
        frames = _from_user_code(error.__traceback__, root)
        report = traceback.TracebackException(type(error), error, frames)
        if isinstance(error, EventflowError):
            _leave_out_ours(report, root)
        reason = f"{_message(error)}{_place(error, root)}"
        return cls(reason, "".join(_lines(report)), is_final(error))


def is_final(error: BaseException) -> bool:
    """Whether the step would fail again: we say of its code that it is wrong. What depends on a
    value that the step has made, or on anything else, may be different the next time."""
    return isinstance(error, _MISTAKES_OF_CODE) and not isinstance(error, InvalidTransition)


def _leave_out_ours(report: traceback.TracebackException, root: Path) -> None:
    """Of an error that we raise: its message says all, our frames and what caused it in them say
    nothing. Those of user code stay, as of a `__getstate__` that raised."""
    users = [_is_user_code(frame.filename, root) for frame in report.stack]
    del report.stack[len(users) - users[::-1].index(True) if any(users) else 0 :]
    before = report.__cause__ or report.__context__
    if before is None:
        return
    if any(_is_user_code(frame.filename, root) for frame in before.stack):
        _leave_out_ours(before, root)
    else:
        report.__cause__ = report.__context__ = None


def _lines(report: traceback.TracebackException) -> Iterator[str]:
    is_bare = not report.stack and report.__cause__ is None and report.__context__ is None
    return report.format_exception_only() if is_bare else report.format()


def _message(error: BaseException) -> str:
    if isinstance(error, InvalidFlow) and error.problems:  # its place is told behind it
        first, *others = error.problems
        more = f" (and {len(others)} more)" if others else ""
        return f"{type(error).__name__}: {first.message[:_LONGEST_MESSAGE]}{more}"
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called, which a flow must not do"
    lines = _text(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0][:_LONGEST_MESSAGE]}" if lines else name


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception class is user code too, and this is its report
        return "(its message cannot be made)"


def _place(error: BaseException, root: Path) -> str:
    if isinstance(error, InvalidFlow) and error.problems:
        first = error.problems[0]
        return f" ({_short(first.file, root)}:{first.line})"
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_short(error.filename, root)}:{error.lineno})"
    if isinstance(error, ArtifactNotStorable) and error.place is not None:
        return f" ({_short(error.place[0], root)}:{error.place[1]})"
    places = [
        f" ({_short(frame.filename, root)}:{frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_user_code(frame.filename, root)
    ]
    return places[-1] if places else ""


def _from_user_code(frames: TracebackType | None, root: Path) -> TracebackType | None:
    """The frames from the first one of user code on; all of them when none is."""
    first = frames
    while first is not None and not _is_user_code(first.tb_frame.f_code.co_filename, root):
        first = first.tb_next
    return first or frames


def _is_user_code(file: str, root: Path) -> bool:
    path = Path(file)
    return path.is_relative_to(root) and "site-packages" not in path.parts


def _short(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file
