"""Pickles of protocol 5, by pickle, and by cloudpickle where that refuses.

Large buffers (arrays, columns of frames) stay where they are and are written beside the pickle.
Read, they are views of what was read, writable where they were before.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

from eventflow.errors import ArtifactNotReadable, ArtifactNotStorable
from eventflow.store.encoders.code import CodePickler
from eventflow.store.encoders.framing import framed, unframed
from eventflow.store.encoders.own_code import Definitions, definitions_of
from eventflow.store.pieces import Pieces, Sink, writable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventflow.store.pieces import Buffer

__all__ = ["PICKLES", "as_pickle", "from_framed_pickle", "from_pickle"]

PICKLES = frozenset({"pickle", "cloudpickle", "framed-pickle"})
_LEAST_BUFFER_BYTES = 16 * 1024


class _Pickled(NamedTuple):
    stream: Pieces
    buffers: Sequence[memoryview]


class _CloudPickler(CodePickler):
    def reducer_override(self, value: object) -> Any:
        if isinstance(value, io.TextIOWrapper):  # of which cloudpickle makes a StringIO
            raise pickle.PicklingError("cannot pickle an open file")
        return super().reducer_override(value)


def as_pickle(value: object) -> tuple[str, Pieces]:
    """The encoder and its bytes.

    Raises:
        ArtifactNotStorable: nothing can pickle it; the message says why, and which part of it.
    """
    try:
        encoder, (stream, buffers) = "pickle", _pickled(pickle.Pickler, value)
    except Exception:  # noqa: BLE001 - whatever a class says against it, cloudpickle may do it
        encoder, (stream, buffers) = "cloudpickle", _cloudpickled(value)
    definitions = definitions_of(stream)
    if not (buffers or definitions):
        return encoder, stream
    return "framed-pickle", framed(definitions, stream, buffers)


def from_pickle(data: Buffer) -> Any:
    """The value that `pickle` or `cloudpickle` wrote.

    Raises:
        ArtifactNotReadable: unpickling failed.
    """
    return _told(lambda: pickle.loads(data))


def from_framed_pickle(data: Buffer) -> Any:
    """The value: with buffers that are views of `data`, or of a copy when that is read-only.

    Raises:
        ArtifactNotReadable: unpickling failed.
        CorruptObject: it is not framed.
    """
    definitions, stream, buffers = unframed(writable(data))
    if not definitions:
        return _told(lambda: pickle.loads(stream, buffers=buffers))
    return _told(lambda: _Unpickler(definitions, stream, buffers).load())


class _Unpickler(pickle.Unpickler):
    """Takes a class of the run's own code as it was defined then, where it is not importable."""

    def __init__(
        self, definitions: memoryview, stream: memoryview, buffers: Sequence[memoryview]
    ) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        self._definitions = Definitions(definitions)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (AttributeError, ImportError):
            if (found := self._definitions.find(module, name)) is None:
                raise
            return found


def _pickled(make: Callable[..., Any], value: object) -> _Pickled:
    sink, buffers = Sink(), list[memoryview]()

    def is_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _LEAST_BUFFER_BYTES:
            return True
        buffers.append(raw)
        return False

    make(sink, protocol=5, buffer_callback=is_inside).dump(value)
    return _Pickled(sink.pieces(), buffers)


def _cloudpickled(value: object) -> _Pickled:
    try:
        return _pickled(_CloudPickler, value)
    except Exception as error:
        # A task that fails pays for it, no other.
        from eventflow.store.encoders.unstorable import why_not  # noqa: PLC0415 - as said

        raise ArtifactNotStorable(why_not(value, error, _CloudPickler)) from error


def _told(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:
        raise ArtifactNotReadable(
            f"unpickling it failed: {type(error).__name__}: {error}. The packages and the code"
            " of the run that made it have to be importable here."
        ) from error
