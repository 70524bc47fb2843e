"""What a step can append to its card. Each gives HTML, safe whatever it was made of."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from eventflow.cards.preview import is_png, png, preview, table, table_of_frame

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["Artifact", "Component", "Image", "Markdown", "Table"]


@runtime_checkable
class Component(Protocol):
    """A part of a card."""

    def html(self) -> str:
        """The part as HTML, nothing in it from elsewhere."""


@dataclass(frozen=True, slots=True)
class Markdown:
    """Text in Markdown. HTML in it is shown as it is written; images in it are not loaded."""

    text: str

    def html(self) -> str:
        """See `Component`."""
        return str(_markdown().render(self.text))


@dataclass(frozen=True, slots=True)
class Table:
    """A table: rows of values, with `headers` above them, or a data frame of pandas, polars or
    pyarrow. A cell may be a component too."""

    data: Any = ()
    headers: Sequence[object] = ()

    @classmethod
    def from_dataframe(cls, frame: Any) -> Table:
        """A data frame, as Metaflow's code has it."""
        return cls(frame)

    def html(self) -> str:
        """See `Component`."""
        frame: Any = self.data
        if hasattr(frame, "columns"):
            return table_of_frame(frame, len(frame))
        heads = [escape(str(each)) for each in self.headers]
        return table(heads, ([_cell(each) for each in row] for row in self.data))


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the PNG format, with a label below it."""

    data: bytes
    label: str = ""

    def __post_init__(self) -> None:
        data: object = self.data
        if not (isinstance(data, bytes) and is_png(data)):
            raise TypeError("Image takes the bytes of a PNG file; Image.from_matplotlib a figure.")

    @classmethod
    def from_matplotlib(cls, figure: Any, label: str = "") -> Image:
        """A figure of matplotlib."""
        return cls._saved(figure.savefig, label)

    @classmethod
    def from_pil_image(cls, image: Any, label: str = "") -> Image:
        """An image of Pillow."""
        return cls._saved(image.save, label)

    @classmethod
    def _saved(cls, save: Any, label: str) -> Image:
        file = io.BytesIO()
        save(file, format="png")
        return cls(file.getvalue(), label)

    def html(self) -> str:
        """See `Component`."""
        below = f"<figcaption>{escape(self.label)}</figcaption>" if self.label else ""
        return f"<figure>{png(self.data, self.label)}{below}</figure>"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A value, as the card shows artifacts; `name` stands before it."""

    artifact: object
    name: str = ""

    def html(self) -> str:
        """See `Component`."""
        shown = preview(self.artifact) or escape(f"<{type(self.artifact).__name__}>")
        return f"<div>{f'<b>{escape(self.name)}</b> ' if self.name else ''}{shown}</div>"


def _cell(value: object) -> str:
    return value.html() if isinstance(value, Component) else escape(str(value))


def _markdown() -> MarkdownIt:
    # Here, because most tasks have no use for a parser, and each would pay for it.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
