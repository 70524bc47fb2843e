"""Pathspecs: what names a flow, a run, and what is below it: `Flow/run/step/task/artifact`.

Each may have its namespace before it: `project/branch/Flow/run`.
"""

from __future__ import annotations

from eventflow.errors import InvalidName
from eventflow.model.namespace import Namespace

__all__ = ["SHAPE", "split_pathspec"]

SHAPE = ("Flow", "run", "step", "task", "artifact")


def split_pathspec(text: str, length: int) -> tuple[str | None, tuple[str, ...]]:
    """The namespace, None when there is none, and the `length` parts that follow it.

    Raises:
        InvalidName: it has more parts or fewer, an empty one, or no namespace where one stands.
    """
    parts = tuple(text.split("/")) if isinstance(text, str) else ()  # type: ignore[redundant-expr]
    if len(parts) not in (length, length + 2) or not all(parts):
        shape = "/".join(SHAPE[:length])
        raise InvalidName(
            f"{text!r} names nothing: it is written {shape}, or project/branch/{shape}."
        )
    if len(parts) == length:
        return None, parts
    return str(Namespace.parse("/".join(parts[:2]))), parts[2:]
