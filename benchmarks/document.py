"""`python -m benchmarks.document [FILE …]`: puts measured figures into docs/performance.md.

FILEs are what `python -m benchmarks` wrote (default: build/benchmarks.jsonl). The tables take the
place of those between the two marks of the document, under the headings of the catalogue; the
rest of the document stays as it is. Of a figure that was measured twice, the last one counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHMARKS
from benchmarks.figure import Figure
from benchmarks.table import markdown

__all__ = ["BEGIN", "DOCUMENT", "END", "between", "main", "with_tables"]

BEGIN = "<!-- figures: written by python -m benchmarks.document -->"
END = "<!-- end of the figures -->"
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
_MEASURED = Path("build/benchmarks.jsonl")
_BUSY_ABOVE = 2  # processes a core: more than the benchmarks make themselves
_BUSY = "\n**The machine was busy with other work: only the ratios count.**\n"


def main(files: Sequence[Path]) -> int:
    """Exit status 1 when there is nothing to put in."""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    if not lines:
        print(f"no figures in {', '.join(map(str, files))}", file=sys.stderr)
        return 1
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8"), lines))
    print(f"{len(lines)} figures are in {DOCUMENT.name}")
    return 0


def with_tables(document: str, lines: Sequence[dict[str, Any]]) -> str:
    """The document with these figures in the place of the former ones."""
    return between(document, BEGIN, END, f"{_machine(lines)}\n{''.join(_tables(lines))}")


def between(document: str, begin: str, end: str, text: str) -> str:
    """The document with `text`, whole lines, in the place of what stands between two marks.

    Raises:
        ValueError: it does not have both.
    """
    head, first, rest = document.partition(begin)
    _, second, tail = rest.partition(end)
    if not (first and second):
        raise ValueError(f"the document has no {begin} … {end}")
    return f"{head}{begin}\n{text}{end}{tail}"


def _machine(lines: Sequence[dict[str, Any]]) -> str:
    last = lines[-1]
    machine, days = last["machine"], sorted({line["begun_at"][:10] for line in lines})
    loads = [line["load"] for line in lines]
    return (
        f"\n{machine['cpu']}, {machine['cores']} cores, {machine['system']}, Python"
        f" {machine['python']};\n{' and '.join(days)}; load {min(loads):g} to {max(loads):g}.\n"
        "Kafka is a single broker on loopback, the S3 server is one on loopback.\n"
        f"{_BUSY if max(loads) > _BUSY_ABOVE * machine['cores'] else ''}"
    )


def _tables(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    latest = {_what(each): each for each in map(Figure.from_json, lines)}
    under = {each.name: each.heading for each in BENCHMARKS}
    for heading in dict.fromkeys(under.values()):
        figures = [each for each in latest.values() if under[each.benchmark] == heading]
        if figures:
            yield f"### {heading}\n\n{markdown(figures)}\n"


def _what(figure: Figure) -> tuple[str, str, str, str]:
    return figure.benchmark, figure.name, figure.backend, figure.peer


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]] or [_MEASURED]))
