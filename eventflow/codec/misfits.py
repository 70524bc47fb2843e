"""What fastavro and our dataclasses raise for bytes that do not fit their schema."""

from __future__ import annotations

from fastavro.read import SchemaResolutionError

__all__ = ["MISFITS"]

MISFITS: tuple[type[Exception], ...] = (
    SchemaResolutionError,
    *(ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError),
)
