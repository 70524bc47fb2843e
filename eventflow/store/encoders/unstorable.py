"""Why a value cannot be pickled: which part of it, of what type, and what to do instead."""

from __future__ import annotations

import io
import socket
import types
from typing import TYPE_CHECKING, Any

from eventflow.store.encoders.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["why_not"]

_DEEPEST = 20
_MOST_PARTS = 10_000
_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (types.GeneratorType, "make a list of it"),
    ((types.CoroutineType, types.AsyncGeneratorType), "await it first"),
    (io.IOBase, "keep its path, or what is in it"),
    (socket.socket, "open it where it is used"),
)


class _Nowhere:
    """A file for what is pickled only to see whether it can be."""

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def why_not(value: object, error: Exception, make: Callable[..., Any]) -> str:
    """What an error of `make`, a class of picklers, is about, as the rest of a sentence that
    begins with the artifact: `its .cache['a'].lock is a _thread.lock: …`."""
    path, culprit, reason = "", value, error
    for _ in range(_DEEPEST):
        found = _first_failing(culprit, make)
        if found is None:
            break
        step, culprit, reason = found
        path += step
    subject = f"its {path} is" if path else "it is"
    told = f"{subject} a {type_name(culprit)}: {reason}"
    advice = next((each for kind, each in _ADVICE if isinstance(culprit, kind)), None)
    return f"{told} ({advice})" if advice else told


def _first_failing(value: object, make: Callable[..., Any]) -> tuple[str, object, Exception] | None:
    for number, (step, part) in enumerate(_parts(value)):
        if number > _MOST_PARTS:
            return None
        try:
            # Large buffers are left out: they can be pickled.
            make(_Nowhere(), protocol=5, buffer_callback=lambda _: False).dump(part)
        except Exception as error:  # noqa: BLE001 - whatever it says is the reason
            return step, part, error
    return None


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """What a value holds, each with how one gets there from it."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", each) for key, each in value.items())
        yield from ((f"key {key!r}", key) for key in value)
    elif isinstance(value, list | tuple):
        yield from ((f"[{number}]", each) for number, each in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from (("{…}", each) for each in value)
    elif isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        cells = zip(names, value.__closure__ or (), strict=True)
        yield from ((f" variable {name}", cell.cell_contents) for name, cell in cells)
        used = ((name, value.__globals__.get(name)) for name in value.__code__.co_names)
        yield from ((f" global {name}", each) for name, each in used)
    if not isinstance(value, type | types.ModuleType):
        yield from ((f".{name}", each) for name, each in getattr(value, "__dict__", {}).items())
