"""Links, sections and numbers: what a document or a docstring refers to is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, anchors, links, text_of

SOURCES = [path for folder in ("eventflow", "tests") for path in (ROOT / folder).rglob("*.py")]
SECTIONS = re.compile(r"docs/protocols\.md ((?:§[\d.]+(?:,| and|,? )? ?)+)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_between_documents_resolves(document: str) -> None:
    broken = [link for link in links(document) if not _resolves(document, link)]

    assert broken == []


def _resolves(document: str, link: str) -> bool:
    if "://" in link:
        return True
    file, _, anchor = link.partition("#")
    target = (ROOT / document).parent / file if file else ROOT / document
    if not target.exists():
        return False
    if not anchor:
        return True
    return anchor in anchors(str(target.resolve().relative_to(ROOT)))


def test_every_section_that_a_docstring_refers_to_exists() -> None:
    referred = {
        number.rstrip(".")
        for path in SOURCES
        for numbers in SECTIONS.findall(path.read_text(encoding="utf-8"))
        for number in re.findall(r"[\d.]+", numbers)
    }
    headings = re.findall(r"^#{2,3} ([\d.]+?)\.? ", text_of("docs/protocols.md"), re.MULTILINE)

    assert referred <= set(headings)
    assert referred


def test_sections_and_decisions_are_numbered_without_a_gap() -> None:
    for document in ("docs/protocols.md", "docs/decisions.md"):
        numbers = re.findall(r"^## (\d+)\. ", text_of(document), re.MULTILINE)

        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_every_file_that_a_document_names_exists() -> None:
    pattern = re.compile(r"`((?:eventflow|tests|schemas|examples|docs)/[\w./*-]+\.\w+)`")
    named = {name for document in DOCUMENTS for name in pattern.findall(text_of(document))}

    assert [name for name in sorted(named) if not _exists(name)] == []
    assert named


def _exists(name: str) -> bool:
    return next(ROOT.glob(name), None) is not None
