"""Refuses Python files of more than 500 lines: a file that grows so far holds two concepts.

Looks at every file that git tracks or would track; prints each that is too long and fails then.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAX_LINES = 500


def python_files() -> list[Path]:
    """The tree's Python files, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := Path(name)).is_file()]


def main() -> int:
    """Exit status 1 when a file is over the limit."""
    sizes = [(path, len(path.read_text().splitlines())) for path in python_files()]
    too_long = [(path, lines) for path, lines in sizes if lines > MAX_LINES]
    for path, lines in too_long:
        print(f"{path}: {lines} lines, the limit is {MAX_LINES}: split it by concept")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
