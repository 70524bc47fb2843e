"""Documents as tests see them: their code blocks, tables, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "ROOT", "Block", "anchors", "blocks", "links", "text_of", "words_in_table"]

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("examples/**/README.md")),
)

_FENCE = re.compile(r"^```(\w*)\s*$")
_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
_HEADING = re.compile(r"^#+ (.+)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_WORD = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block. `why_not_run` is what the comment above it says, empty when it is run."""

    document: str
    line: int
    language: str
    text: str
    why_not_run: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def text_of(document: str) -> str:
    """The whole document."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> Iterator[Block]:
    """The code blocks, in order."""
    lines = text_of(document).splitlines()
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened = number, fence[1]
        elif fence and opened:
            start, language = opened
            body = "\n".join(lines[start + 1 : number]) + "\n"
            yield Block(document, start + 1, language, body, _reason(lines[:start]))
            opened = None


def words_in_table(document: str, head: str) -> list[str]:
    """What stands in backticks in the first column of the tables that begin with this head."""
    words: list[str] = []
    is_inside = False
    for line in text_of(document).splitlines():
        if not line.startswith("|"):
            is_inside = False
        elif line.startswith(f"| {head} |"):
            is_inside = True
        elif is_inside:
            words += _WORD.findall(line.split(" | ")[0])
    return words


def anchors(document: str) -> frozenset[str]:
    """The fragments that a link may name, as they are made of headings."""
    prose = _without_code(document)
    headings = (match[1] for line in prose if (match := _HEADING.match(line)))
    return frozenset(_slug(heading) for heading in headings)


def links(document: str) -> Iterator[str]:
    """The targets of links."""
    for line in _without_code(document):
        yield from _LINK.findall(line)


def _reason(above: list[str]) -> str:
    match = _NOT_RUN.match(above[-1]) if above else None
    return match[1] if match else ""


def _without_code(document: str) -> Iterator[str]:
    is_code = False
    for line in text_of(document).splitlines():
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield line


def _slug(heading: str) -> str:
    plain = re.sub(r"[`*]", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
