"""`import eventflow` in a new interpreter; beside it the start of an interpreter that imports none.

The import is timed inside of the interpreter, its start from outside.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.figure import Figure, Goal, times_ms

__all__ = ["measure"]

_IMPORT = "import time; at = time.perf_counter(); import eventflow; print(time.perf_counter() - at)"


def measure(*, starts: int = 10) -> Iterator[Figure]:
    """Over so many starts of each, in turns."""
    imports, bare = [], []
    for _ in range(starts):
        imports.append(float(_python(_IMPORT)))
        at = time.perf_counter()
        _python("pass")
        bare.append(time.perf_counter() - at)
    yield Figure(
        "import_cost",
        "none",
        "import eventflow",
        times_ms(imports),
        "start of a bare interpreter",
        times_ms(bare),
        Goal("p50", 150),
    )


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout
