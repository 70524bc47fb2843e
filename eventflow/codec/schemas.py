"""The Avro schemas of our records: `schemas/<name>.avsc`, inside the wheel as well.

Rules that keep them readable by old and new programs at once (FULL_TRANSITIVE), checked by
`tests/unit/test_schema_evolution.py` against every released version in `schemas/released/`:

- A field that is added or removed has a default; a default is null, or a plain empty value.
- A type never changes: `int` read as `long` works in one direction only.
- Words of a closed list (outcomes, verdicts, kinds) are strings. A new symbol of an Avro enum
  breaks every old reader, or silently becomes the enum's default; a new word in a string stays
  readable for other tools, and is refused by name (`malformed`) by our own old programs.
- No recursive type, and no union but null with one other: Spark has to write an Event.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["schema_text"]

_CHECKOUT = Path(__file__).resolve().parents[2] / "schemas"


def schema_text(name: str) -> str:
    """The schema of that name, as JSON with docs; it stands on its own."""
    packaged = resources.files("eventflow") / "schemas" / f"{name}.avsc"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (_CHECKOUT / f"{name}.avsc").read_text(encoding="utf-8")
