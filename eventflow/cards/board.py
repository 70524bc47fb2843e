"""`current.card`: what a step has appended to its cards so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.cards.components import Artifact, Component
from eventflow.errors import CardMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CardBoard", "CardParts"]


class CardParts:
    """The parts of one card, in the order in which they were appended."""

    def __init__(self) -> None:
        self.parts: list[Component] = []

    def append(self, part: object) -> None:
        """Add a part; what is no component is shown as an `Artifact` is."""
        self.parts.append(part if isinstance(part, Component) else Artifact(part))

    def extend(self, parts: Iterable[object]) -> None:
        """Add several."""
        for each in parts:
            self.append(each)

    def clear(self) -> None:
        """Begin anew."""
        self.parts.clear()


class CardBoard(CardParts):
    """The cards of a task: itself the one without an id, else the first; each by its id."""

    def __init__(self, ids: Sequence[str | None]) -> None:
        super().__init__()
        own = None if None in ids or not ids else ids[0]
        self._cards: dict[str | None, CardParts] = {
            each: self if each == own else CardParts() for each in ids
        }

    def __getitem__(self, id: str) -> CardParts:  # noqa: A002 - as @card calls it
        """The card of that id.

        Raises:
            CardMissing: the step has none.
        """
        return self.of(id)

    def of(self, id: str | None) -> CardParts:  # noqa: A002
        """The same, with None for the card without an id."""
        if id not in self._cards:
            raise CardMissing(f"The step has no card of the id {id!r}: write @card(id={id!r}).")
        return self._cards[id]
