"""Cards: reports of tasks, as HTML pages that need nothing else.

`Markdown`, `Table`, `Image` and `Artifact` are what a step appends to its card; `get_cards` finds
the cards of a task.
"""

from __future__ import annotations

from eventflow.cards.components import Artifact, Image, Markdown, Table
from eventflow.cards.reading import Card, get_cards

__all__ = ["Artifact", "Card", "Image", "Markdown", "Table", "get_cards"]
