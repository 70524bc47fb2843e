"""The table of planted faults: the seed that shows each, and what had to go wrong for it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.happenings import Happening

__all__ = ["Found", "read_table", "write_table"]

_FILE = Path(__file__).with_name("planted_seeds.json")


@dataclass(frozen=True, slots=True)
class Found:
    """A seed, the checks that complained, and the mishaps of its smallest example."""

    seed: int
    checks: tuple[str, ...]
    happenings: tuple[Happening, ...]


def read_table() -> dict[str, Found]:
    """By the name of the fault."""
    if not _FILE.exists():
        return {}
    content = json.loads(_FILE.read_text())
    return {
        name: Found(
            each["seed"],
            tuple(each["checks"]),
            tuple((what, nth) for what, nth in each["happenings"]),
        )
        for name, each in content.items()
    }


def write_table(table: Mapping[str, Found]) -> None:
    """In the order of names."""
    content = {name: asdict(found) for name, found in sorted(table.items())}
    _FILE.write_text(json.dumps(content, indent=2) + "\n")
