"""Reading cards: `get_cards(task)`, in the order of their ids."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from eventflow.client.task import Task
from eventflow.context import world
from eventflow.store.layout import card_id_of_key

__all__ = ["Card", "get_cards"]


@dataclass(frozen=True, slots=True)
class Card:
    """A card of a task. `id` is that of its decorator, None without; `path` is its key in the
    store."""

    path: str
    id: str | None

    def get(self) -> str:
        """Its HTML."""
        return world().store.get(self.path).decode()

    def view(self) -> Path:
        """Show it in the web browser; the file that was opened, which stays."""
        with tempfile.NamedTemporaryFile(
            "w", suffix=".html", delete=False, encoding="utf-8"
        ) as file:
            file.write(self.get())
        path = Path(file.name)
        # Here, because tasks that import components have no use for a browser.
        import webbrowser  # noqa: PLC0415

        webbrowser.open(path.as_uri())
        return path

    def _repr_html_(self) -> str:
        """In a notebook: in a frame, so that its styles stay its own."""
        frame = 'style="width:100%;height:40rem;border:0" sandbox'
        return f'<iframe {frame} srcdoc="{escape(self.get())}"></iframe>'


def get_cards(task: Task | str, id: str | None = None) -> tuple[Card, ...]:  # noqa: A002 - as @card
    """The cards of a task, given as such or by its pathspec; with `id` the one of that id.

    Of the attempt that counts, also when it failed. Empty when it has none.

    Raises:
        NotFound: there is no such task.
    """
    found = task if isinstance(task, Task) else Task(task)
    keys = (each.key for each in world().store.list(found.card_prefix))
    cards = (Card(key, card_id_of_key(key)) for key in keys)
    return tuple(each for each in cards if id is None or each.id == id)
