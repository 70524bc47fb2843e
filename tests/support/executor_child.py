"""A process that holds an executor and runs one task, to be killed or stopped by a test.

    python -m tests.support.executor_child <home> <code root> <lease in seconds> [<store>]

It prints each end as a line `outcome reason`, and polls until somebody ends it.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from eventflow.settings import StoreSettings
from tests.support.flows import Flows


def main(home: str, root: str, lease: str, store: str = "{}") -> None:
    flows = Flows(Path(home), StoreSettings.model_validate_json(store))
    executor = flows.executor(lease=timedelta(seconds=float(lease)))
    executor.start(flows.task(flows.plan(Path(root))))
    while True:
        for end in executor.poll(timedelta(milliseconds=50)):
            print(end.outcome.value, end.reason, flush=True)  # noqa: T201 - its one way to speak


if __name__ == "__main__":
    main(*sys.argv[1:])
