"""Arrays of numpy as .npy, format version 2.0 (numpy.lib.format); without pickle.

Written from where the array lies, read as a view of what was read: neither copies a contiguous
array. An array that is read is writable, and does not own its memory: `resize` makes a new one.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import TYPE_CHECKING, Any

from eventflow.errors import ArtifactNotReadable, CorruptObject
from eventflow.store.pieces import Pieces, writable

if TYPE_CHECKING:
    from types import ModuleType

    from eventflow.store.pieces import Buffer

__all__ = ["as_npy", "from_npy"]

# Kinds of numpy.dtype that .npy keeps exactly: numbers, times, fixed-width text, bytes, structs.
_KINDS = frozenset("biufcmMSUV")
_LONGEST_HEADER_BYTES = 10_000  # numpy reads no longer one by itself


def as_npy(value: Any) -> tuple[str, Pieces] | None:
    """The encoder and the array; None of what .npy would change, and of anything else."""
    numpy = sys.modules["numpy"]
    if type(value) is not numpy.ndarray or not _is_exact(numpy, value.dtype):
        return None
    array = value if value.flags.forc else numpy.ascontiguousarray(value)
    layout, header = numpy.lib.format, io.BytesIO()
    layout.write_array_header_2_0(header, layout.header_data_from_array_1_0(array))
    if header.tell() > _LONGEST_HEADER_BYTES:
        return None
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    return "numpy", Pieces.of(header.getvalue(), flat.view(numpy.uint8).data)


def from_npy(data: Buffer) -> Any:
    """The array: a view of `data`, or of a copy when that is read-only.

    Raises:
        ArtifactNotReadable: numpy is not installed.
        CorruptObject: it is no array of plain values.
    """
    try:
        numpy = importlib.import_module("numpy")
        layout = importlib.import_module("numpy.lib.format")
    except ImportError as error:
        raise ArtifactNotReadable("it is a numpy array, and numpy is not installed.") from error
    head = io.BytesIO(memoryview(data)[: 2 * _LONGEST_HEADER_BYTES])
    try:
        readers = {1: layout.read_array_header_1_0, 2: layout.read_array_header_2_0}
        shape, is_fortran, dtype = readers[layout.read_magic(head)[0]](head)
        order = "F" if is_fortran else "C"
        # Of objects numpy would take any bytes for addresses.
        if not dtype.hasobject:
            return numpy.ndarray(shape, dtype, writable(data), head.tell(), order=order)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptObject(f"A value is marked as a numpy array and is not: {error}.") from error
    raise CorruptObject("A value is marked as a numpy array of plain values and has objects.")


def _is_exact(numpy: ModuleType, dtype: Any) -> bool:
    """Whether .npy gives back this dtype."""
    if dtype.kind not in _KINDS or dtype.hasobject or not dtype.itemsize:
        return False
    if _has_metadata(dtype):
        return False
    description = numpy.lib.format.dtype_to_descr(dtype)
    # Names of fields beyond ASCII need a version of .npy that not every reader knows.
    is_ascii = repr(description).isascii()
    return is_ascii and bool(numpy.lib.format.descr_to_dtype(description) == dtype)


def _has_metadata(dtype: Any) -> bool:
    inner = [field[0] for field in (dtype.fields or {}).values()]
    if dtype.subdtype is not None:
        inner.append(dtype.subdtype[0])
    return bool(dtype.metadata) or any(_has_metadata(each) for each in inner)
