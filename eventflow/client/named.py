"""What a run and everything below it have in common: a place and a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.store.layout import RunPlace

__all__ = ["Named"]


class Named:
    """A name within a run. Objects are equal when they name the same; they can be pickled."""

    __slots__ = ("_parts", "_place")

    def __init__(self, place: RunPlace, *parts: str) -> None:
        self._place = place
        self._parts = parts

    @property
    def id(self) -> str:
        """The last part of the pathspec."""
        return (self._place.run_id, *self._parts)[-1]

    @property
    def pathspec(self) -> str:
        """`Flow/run/step/task/artifact`, as far as it goes."""
        return "/".join((self._place.flow, self._place.run_id, *self._parts))

    @property
    def namespace(self) -> str:
        """`project/branch`; before the pathspec, with a slash, it makes the full name."""
        return self._place.namespace

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named) or type(other) is not type(self):
            return NotImplemented
        return (self._place, self._parts) == (other._place, other._parts)

    def __hash__(self) -> int:
        return hash((type(self), self._place, self._parts))

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self.namespace}/{self.pathspec}')"
