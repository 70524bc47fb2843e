"""Code in a pickle: of a lambda, of a class that is stored whole.

Bytecode is of one version of Python; another one that runs it may crash. So it is written with
the version, and who has another refuses it. The reader takes its own form of it from here.
"""

from __future__ import annotations

import sys
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any

import cloudpickle

__all__ = ["CodePickler"]


class CodePickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """cloudpickle's, with the version of Python beside all code."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, CodeType):
            _, parts = cloudpickle.Pickler.dispatch_table[CodeType](value)
            return _code, (MAGIC_NUMBER, f"{sys.version_info[0]}.{sys.version_info[1]}", parts)
        if value is _code:  # by its name, also where a checkout counts as the run's own code
            return _code.__name__
        return super().reducer_override(value)


def _code(magic: bytes, version: str, parts: tuple[Any, ...]) -> CodeType:
    if magic != MAGIC_NUMBER:
        raise TypeError(f"it has code that was compiled by Python {version}")
    return CodeType(*parts)
