"""What the name of a task says: `0` of a plain step, `0-3-1` inside of two foreachs, and `.2`
behind what a loop has come to for the third time (docs/protocols.md §7)."""

from __future__ import annotations

__all__ = ["are_in_line", "index_of"]


def index_of(task: str) -> int | None:
    """Which item of the innermost foreach it is for; None outside of any."""
    *outer, last = _position(task)
    return int(last) if outer and last.isdecimal() else None


def are_in_line(one: str, other: str) -> bool:
    """Whether one of them may lead to the other: the foreachs that both are in agree."""
    return all(a == b for a, b in zip(_position(one), _position(other), strict=False))


def _position(task: str) -> list[str]:
    return [piece.partition(".")[0] for piece in task.split("-")]
