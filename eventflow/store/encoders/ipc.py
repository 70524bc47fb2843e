"""Arrow IPC streams (the Arrow columnar format, *IPC Streaming Format*), by pyarrow.

Written from where the columns lie; a table that is read is a view of what was read. No pickle is
in them: releases of pyarrow that would unpickle a type that a stream names are refused.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eventflow.errors import ArtifactNotReadable, CorruptObject
from eventflow.store.pieces import Sink

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from eventflow.store.pieces import Buffer, Pieces

__all__ = ["needed", "read_stream", "write_stream"]

# Before, PyExtensionType is unpickled when a stream is opened (CVE-2023-47248).
_FIRST_SAFE_PYARROW = 15


def write_stream(pyarrow: ModuleType, table: Any) -> Pieces:
    """A table or record batch. Raises what pyarrow raises for types that a stream cannot have."""
    sink = Sink()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return sink.pieces()


def read_stream(data: Buffer, take: Callable[[Any], Any]) -> Any:
    """What `take` makes of the reader of a stream, whose batches are views of `data`.

    Raises:
        ArtifactNotReadable: pyarrow is not installed, or too old to be trusted.
        CorruptObject: it is no stream.
    """
    pyarrow = needed("pyarrow")
    if int(pyarrow.__version__.partition(".")[0]) < _FIRST_SAFE_PYARROW:
        raise ArtifactNotReadable(
            f"it is Arrow data, and pyarrow {pyarrow.__version__} may run code that is in it:"
            f" install pyarrow>={_FIRST_SAFE_PYARROW}."
        )
    try:
        return take(pyarrow.ipc.open_stream(pyarrow.py_buffer(data)))
    except (pyarrow.ArrowException, OSError, StopIteration) as error:
        raise CorruptObject(f"A value is marked as Arrow data and is not: {error!r}.") from error


def needed(package: str) -> ModuleType:
    """A package that a value comes from.

    Raises:
        ArtifactNotReadable: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ArtifactNotReadable(f"it needs {package}, which is not here: {error}.") from error
