"""`python -m tests.chaos --seconds N [--seed S] [--short]`: chaos at the default clocks, or at
short ones.

Exits with 1, and says what was done and when, when the history is wrong or shows too little.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path

from tests.chaos.chaos import Servers, run
from tests.chaos.shape import at_the_defaults, short
from tests.servers.finding import local_kafka, local_s3, started


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of chaos, at least")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--short", action="store_true", help="with short clocks")
    options = parser.parse_args()
    shape = (short if options.short else at_the_defaults)(timedelta(seconds=options.seconds))
    _say(f"seed {options.seed}, {options.seconds:g} s of chaos")
    with (
        tempfile.TemporaryDirectory(prefix="eventflow-chaos-") as folder,
        started(local_kafka()) as kafka,
        started(local_s3(versioning=True)) as s3,
    ):
        try:
            figures = run(shape, options.seed, Path(folder), Servers(kafka, s3))
        except AssertionError:
            _say(traceback.format_exc())
            return 1
    _say(str(figures))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
