"""Definitions of a run's own classes and functions, to stand beside a pickle that names them.

A pickle has them by name, so that the steps of a flow share them: `isinstance`, members of an
enum. Where that name cannot be imported (a notebook elsewhere), they are taken from here.
Own code is `__main__` and what lies below the folder of the file that runs, and is not installed.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import secrets
import sys
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle

from eventflow.store.encoders.code import CodePickler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eventflow.store.pieces import Pieces

__all__ = ["Definitions", "definitions_of"]

_INSTALLED = ("site-packages", "dist-packages")
# A function takes along what it uses of its module: beyond this that is data, and no definition.
_MOST_BYTES = 256 * 1024
_LONGEST_NAME_BYTES = 255
_STACK_GLOBAL = b"\x93"  # how a pickle takes something from a module
_ID_LENGTH, _TOKEN_LENGTH = 32, 24
_TRACKER_ID = re.compile(f"[0-9a-f]{{{_ID_LENGTH}}}")


class Definitions:
    """What `definitions_of` made; unpickled when something is first looked for."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._found: Mapping[tuple[str, str], Any] | None = None

    def find(self, module: str, name: str) -> Any:
        """A class or function; None of one that is not defined here."""
        if self._found is None:
            self._found = pickle.loads(self._data)
        return self._found.get((module, name))


def definitions_of(stream: Pieces) -> bytes:
    """Definitions of the own code that a pickle names, the same for the same code; empty when it
    names none, or when they cannot be had."""
    if not _contains(stream, _STACK_GLOBAL):
        return b""
    modules = [each for each in _own_modules() if _names(stream, each.__name__)]
    wanted = {
        (module.__name__, path): each
        for module in modules
        for path, each in _defined_in(module, vars(module))
        if _names(stream, path)
    }
    if not wanted:
        return b""
    try:
        with _by_value():
            return _with_stable_ids(wanted)
    except Exception:  # noqa: BLE001 - the value itself is stored, and is read where its code is
        return b""


def _own_modules() -> Iterator[ModuleType]:
    for name in _own_names(sys.argv[0] if sys.argv else "", len(sys.modules)):
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and name == module.__name__:
            yield module


@lru_cache(maxsize=1)
def _own_names(program: str, _modules: int) -> tuple[str, ...]:
    folder = str(Path(program or "-").absolute().parent) + os.sep
    return tuple(name for name, each in [*sys.modules.items()] if _is_own(name, each, folder))


def _is_own(name: str, module: object, folder: str) -> bool:
    if not isinstance(module, ModuleType):
        return False
    # Not `module.__file__`: asking a lazy module for an attribute imports it.
    file = object.__getattribute__(module, "__dict__").get("__file__")
    if not isinstance(file, str):
        return name == "__main__"
    return file.startswith(folder) and not any(each in file for each in _INSTALLED)


def _names(stream: Pieces, name: str) -> bool:
    """Whether the text, as a pickle of protocol 4 or 5 writes it (SHORT_BINUNICODE), is in it."""
    text = name.encode(errors="surrogatepass")
    if len(text) > _LONGEST_NAME_BYTES:
        return False
    return _contains(stream, b"\x8c" + bytes([len(text)]) + text)


def _contains(stream: Pieces, sought: bytes) -> bool:
    return any(
        sought in view.obj for view in stream.views if isinstance(view.obj, bytes | bytearray)
    )


def _defined_in(module: ModuleType, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for each in [*names.values()]:
        if not isinstance(each, type | FunctionType) or each.__module__ != module.__name__:
            continue
        yield each.__qualname__, each
        if isinstance(each, type) and vars(each) is not names:
            inside = {name: inner for name, inner in vars(each).items() if isinstance(inner, type)}
            yield from _defined_in(module, inside)


@contextmanager
def _by_value() -> Iterator[None]:
    """Makes cloudpickle write what is in own modules instead of naming it."""
    known = cloudpickle.list_registry_pickle_by_value()
    new = [each for each in _own_modules() if each.__name__ not in known]
    for each in new:
        cloudpickle.register_pickle_by_value(each)
    try:
        yield
    finally:
        for each in new:
            cloudpickle.unregister_pickle_by_value(each)


class _TooLarge(Exception):
    pass


class _LimitedFile:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        if len(self.data) + len(data) > _MOST_BYTES:
            raise _TooLarge
        self.data += data
        return len(data)


class _Pickler(CodePickler):
    """Numbers the classes, where cloudpickle gives each a new random id in every process."""

    def __init__(self, file: _LimitedFile, token: str) -> None:
        super().__init__(file, protocol=5)
        self._token = token
        self._numbers: dict[type, int] = {}

    def reducer_override(self, value: Any) -> Any:
        reduced = super().reducer_override(value)
        if not (isinstance(value, type) and isinstance(reduced, tuple)):
            return reduced
        make, arguments, *rest = reduced
        changed = [
            self._id(value) if isinstance(each, str) and _TRACKER_ID.fullmatch(each) else each
            for each in arguments
        ]
        return (make, tuple(changed), *rest)

    def _id(self, kind: type) -> str:
        number = self._numbers.setdefault(kind, len(self._numbers))
        return f"{self._token}{number:0{_ID_LENGTH - _TOKEN_LENGTH}x}"


def _with_stable_ids(wanted: Mapping[tuple[str, str], Any]) -> bytes:
    """A pickle in which the ids of classes follow from what is in it."""
    file, token = _LimitedFile(), secrets.token_hex(_TOKEN_LENGTH // 2)
    _Pickler(file, token).dump(dict(wanted))
    blank = file.data.replace(token.encode(), b"0" * _TOKEN_LENGTH)
    stable = hashlib.sha256(blank).hexdigest()[:_TOKEN_LENGTH]
    return bytes(file.data.replace(token.encode(), stable.encode()))
