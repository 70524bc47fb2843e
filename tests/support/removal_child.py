"""A process that removes the environments of a cache, to be killed in the middle.

python -m tests.support.removal_child <cache folder>
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from eventflow.effects import Effects, NoFaults, planted
from eventflow.execution.environments.removing import remove, standing


def main(cache: str) -> None:
    fault = os.environ.get("EVENTFLOW_FAULT")
    effects = replace(Effects(), faults=planted(fault) if fault else NoFaults())
    for each in standing(Path(cache)):
        remove(each, effects)


if __name__ == "__main__":
    main(*sys.argv[1:])
