"""Values ⇄ bytes, each by the best encoder for its type; the name of the encoder is kept.

    bytes        as they are
    json         plain data that comes back exactly: None, bool, int, float, str, list, dict
    config       a ConfigValue, as JSON likewise
    numpy        arrays as .npy (numpy.lib.format), without pickle; come back writable
    pickle       everything else, protocol 5
    cloudpickle  what pickle refuses: lambdas, local classes

`+zstd` after the name: compressed. Only the last two run code when read, and only for a reader
that allows it.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cloudpickle

from eventflow.errors import ArtifactNotReadable, ArtifactNotStorable, CorruptObject
from eventflow.model.config_value import ConfigValue
from eventflow.store.compression import compress, decompress

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Encoded", "decode", "encode"]

_ZSTD = "+zstd"
_PICKLES = frozenset({"pickle", "cloudpickle"})

_SCALARS = frozenset({type(None), bool, int, float, str})
# Beyond these pickle is faster, and a structure that contains itself ends here too.
_MOST_PLAIN_VALUES = 1_000_000
_DEEPEST_PLAIN_VALUE = 100

# Kinds of numpy.dtype that .npy keeps exactly: numbers, times, fixed-width text, bytes, structs.
_ARRAY_KINDS = frozenset("biufcmMSUV")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as bytes. `type_name` is for people: `dict`, `numpy.ndarray`."""

    encoder: str
    data: bytes
    type_name: str


def encode(value: object) -> Encoded:
    """`value` as bytes that `decode` makes an equal value of.

    Raises:
        ArtifactNotStorable: no encoder takes it; the message says why.
    """
    encoder, data = _encode(value)
    smaller = compress(data)
    if smaller is not None:
        encoder, data = encoder + _ZSTD, smaller
    return Encoded(encoder, data, _type_name(value))


def decode(encoder: str, data: bytes, *, allow_pickle: bool) -> Any:
    """The value that was encoded.

    Raises:
        ArtifactNotReadable: it is a pickle and `allow_pickle` is false, or it needs a class or
            a package that is not here.
        CorruptObject: the bytes are not what `encoder` writes.
    """
    name = encoder.removesuffix(_ZSTD)
    if name in _PICKLES and not allow_pickle:
        raise ArtifactNotReadable(
            "it is pickled, and reading a pickle runs code that whoever can write to the store"
            " chose. If you trust the store, set EVENTFLOW_STORE__ALLOW_PICKLE=true."
        )
    if name != encoder:
        data = decompress(data)
    return _decode(name, data)


def _encode(value: object) -> tuple[str, bytes]:
    if type(value) is bytes:
        return "bytes", value
    if type(value) is ConfigValue and (text := _as_json(value.to_dict())) is not None:
        return "config", text
    if (text := _as_json(value)) is not None:
        return "json", text
    if (array := _as_npy(value)) is not None:
        return "numpy", array
    return _as_pickle(value)


def _decode(name: str, data: bytes) -> Any:
    if name == "bytes":
        return data
    if name == "json":
        return _from_json(data)
    if name == "config":
        return _from_config(data)
    if name == "numpy":
        return _from_npy(data)
    if name in _PICKLES:
        return _from_pickle(data)
    raise ArtifactNotReadable(
        f"it was written by the encoder {name!r}, which this version of eventflow does not know."
        " Read it with the version that wrote it, or a later one."
    )


def _type_name(value: object) -> str:
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


# ── plain data ───────────────────────────────────────────────────────────────


def _as_json(value: object) -> bytes | None:
    if not _is_plain(value):
        return None
    try:
        # As UTF-8 and not escaped: half a surrogate pair, which JSON would change, is an error.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except ValueError:  # that, or an integer of more digits than Python writes
        return None


def _from_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise CorruptObject(f"A value is marked as JSON and is not: {error}.") from error


def _from_config(data: bytes) -> ConfigValue:
    content = _from_json(data)
    if not isinstance(content, dict):
        raise CorruptObject("A value is marked as a configuration and is none.")
    return ConfigValue(content)


def _is_plain(value: object) -> bool:
    """Whether JSON gives back the same types: exact ones, no tuples, no keys but text."""
    level, seen = [value], 1
    for _ in range(_DEEPEST_PLAIN_VALUE):
        deeper: list[object] = []
        for each in level:
            if type(each) in _SCALARS:
                continue
            inner = _inside(each)
            if inner is None or (seen := seen + len(inner)) > _MOST_PLAIN_VALUES:
                return False
            deeper.extend(inner)
        if not deeper:
            return True
        level = deeper
    return False


def _inside(value: object) -> list[object] | None:
    """What a list or a dict holds; None of anything else."""
    if type(value) is list:
        return value
    if type(value) is dict and all(type(key) is str for key in value):
        return list(value.values())
    return None


# ── numpy ────────────────────────────────────────────────────────────────────


def _as_npy(value: Any) -> bytes | None:
    numpy = sys.modules.get("numpy")  # who has an array has imported it
    if numpy is None or type(value) is not numpy.ndarray or not _is_exact(numpy, value.dtype):
        return None
    array = value if value.flags.forc else numpy.ascontiguousarray(value)
    layout = numpy.lib.format
    file = io.BytesIO()
    layout.write_array_header_2_0(file, layout.header_data_from_array_1_0(array))
    # One copy: `write_array` would make two, chunk by chunk.
    flat = array.reshape(-1, order="C" if array.flags.c_contiguous else "F")
    file.write(flat.view(numpy.uint8).data)
    return file.getvalue()


def _is_exact(numpy: ModuleType, dtype: Any) -> bool:
    """Whether .npy gives back this dtype."""
    if dtype.kind not in _ARRAY_KINDS or dtype.hasobject or not dtype.itemsize:
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


def _from_npy(data: bytes) -> Any:
    try:
        layout = importlib.import_module("numpy.lib.format")
    except ImportError as error:
        raise ArtifactNotReadable("it is a numpy array, and numpy is not installed.") from error
    try:
        return layout.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise CorruptObject(f"A value is marked as a numpy array and is not: {error}.") from error


# ── everything else ──────────────────────────────────────────────────────────


def _as_pickle(value: object) -> tuple[str, bytes]:
    try:
        return "pickle", pickle.dumps(value, protocol=5)
    except Exception:  # noqa: BLE001 - whatever a class says against it, cloudpickle may do it
        return "cloudpickle", _as_cloudpickle(value)


def _as_cloudpickle(value: object) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise ArtifactNotStorable(f"a {_type_name(value)} cannot be pickled: {error}") from error
    return data


def _from_pickle(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:
        raise ArtifactNotReadable(
            f"unpickling it failed: {type(error).__name__}: {error}. The packages and the code"
            " of the run that made it have to be importable here."
        ) from error
