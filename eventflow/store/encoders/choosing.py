"""Which encoder a value takes, and what reads it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eventflow.errors import ArtifactNotReadable
from eventflow.model.config_value import ConfigValue
from eventflow.store.compression import compress, decompress
from eventflow.store.encoders.npy import as_npy, from_npy
from eventflow.store.encoders.pickled import PICKLES, as_pickle, from_framed_pickle, from_pickle
from eventflow.store.encoders.plain import as_config, as_json, from_config, from_json
from eventflow.store.encoders.type_names import type_name
from eventflow.store.pieces import Buffer, Pieces

__all__ = ["Encoded", "check_readable", "decode", "encode"]

_ZSTD = "+zstd"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as bytes. They may be views of the value: it must not change while they are used.

    `type_name` is for people: `dict`, `numpy.ndarray`.
    """

    encoder: str
    pieces: Pieces
    type_name: str

    @property
    def data(self) -> bytes:
        """The bytes in one piece: in general a copy."""
        return self.pieces.joined()


def encode(value: object) -> Encoded:
    """`value` as bytes that `decode` makes an equal value of.

    Raises:
        ArtifactNotStorable: no encoder takes it; the message says why.
    """
    encoder, pieces = _encode(value)
    smaller = compress(pieces)
    if smaller is not None:
        encoder, pieces = encoder + _ZSTD, smaller
    return Encoded(encoder, pieces, type_name(value))


def decode(encoder: str, data: Buffer, *, allow_pickle: bool) -> Any:
    """The value that was encoded: it may be a view of `data`, which the caller gives away.

    Raises:
        ArtifactNotReadable: it is a pickle and `allow_pickle` is false, or it needs a class or
            a package that is not here.
        CorruptObject: the bytes are not what `encoder` writes.
    """
    check_readable(encoder, allow_pickle=allow_pickle)
    name = encoder.removesuffix(_ZSTD)
    return _reader(name)(decompress(data) if name != encoder else data)


def check_readable(encoder: str, *, allow_pickle: bool) -> None:
    """Before anything is read.

    Raises:
        ArtifactNotReadable: this version does not know the encoder, or it is one of pickles and
            `allow_pickle` is false.
    """
    name = encoder.removesuffix(_ZSTD)
    _reader(name)
    if name in PICKLES and not allow_pickle:
        raise ArtifactNotReadable(
            "it is pickled, and reading a pickle runs code that whoever can write to the store"
            " chose. If you trust the store, set EVENTFLOW_STORE__ALLOW_PICKLE=true."
        )


_READERS: dict[str, Callable[[Buffer], Any]] = {
    "bytes": bytes,
    "json": from_json,
    "config": from_config,
    "numpy": from_npy,
    "pickle": from_pickle,
    "cloudpickle": from_pickle,
    "framed-pickle": from_framed_pickle,
}
_OF_TABLES = frozenset({"pandas", "polars", "pyarrow"})


def _encode(value: object) -> tuple[str, Pieces]:
    if type(value) is bytes:
        return "bytes", Pieces.of(value)
    if type(value) is ConfigValue and (text := as_config(value)) is not None:
        return "config", Pieces.of(text)
    if (text := as_json(value)) is not None:
        return "json", Pieces.of(text)
    return _by_package(value) or as_pickle(value)


def _by_package(value: object) -> tuple[str, Pieces] | None:
    """By the package that the type comes from, which is imported then."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        return as_npy(value)
    if package not in _OF_TABLES:
        return None
    from eventflow.store.encoders.tables import WRITERS  # noqa: PLC0415 - as it says there

    return WRITERS[package](value)


def _reader(name: str) -> Callable[[Buffer], Any]:
    if name in _READERS:
        return _READERS[name]
    from eventflow.store.encoders.tables import READERS  # noqa: PLC0415 - as it says there

    if name in READERS:
        return READERS[name]
    raise ArtifactNotReadable(
        f"it was written by the encoder {name!r}, which this version of eventflow does not know."
        " Read it with the version that wrote it, or a later one."
    )
