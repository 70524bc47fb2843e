"""Names of types for people."""

from __future__ import annotations

__all__ = ["type_name"]


def type_name(value: object) -> str:
    """`dict`, `numpy.ndarray`."""
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
