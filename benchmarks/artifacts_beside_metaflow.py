"""A large array that one step hands to the next, beside the same under stock Metaflow 2.19.

One source, two imports, as in `beside_metaflow`. The first step keeps when it was done with its
array; the second when its first line was reached, and when it had the array. So saving has the
start of a task in it, and loading is as a step sees it.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figure import Figure, times_ms
from benchmarks.library import METAFLOW, Library, both

__all__ = ["measure"]

_RUNS = 3
_OF_FLOATS_BYTES = 8
_FLOW = """\
import time
import numpy as np
from {library} import FlowSpec, step

class Large(FlowSpec):
    @step
    def start(self):
        self.array = np.random.default_rng().random(COUNT)
        self.left_at = time.time()
        self.next(self.end)

    @step
    def end(self):
        self.entered_at = time.time()
        self.count = len(self.array)
        self.loaded_at = time.time()

if __name__ == "__main__":
    Large()
"""
_READER = """\
import json
from {library} import Flow, namespace
namespace(None)
run = Flow("Large").latest_run
end = run["end"].task.data
assert end.count == COUNT
print(json.dumps([run["start"].task.data.left_at, end.entered_at, end.loaded_at]))
"""


def measure(*, mebibytes: int) -> Iterator[Figure]:
    """The medians of a few runs of each, after one that warms up.

    Raises:
        NotToBeHad: Metaflow cannot be installed here.
    """
    count = str(mebibytes * 2**20 // _OF_FLOATS_BYTES)
    files = {"large.py": _FLOW.replace("COUNT", count), "read.py": _READER.replace("COUNT", count)}
    with both(files, "numpy") as libraries:
        for each in libraries:
            _run(each)
        taken = [[_run(each) for each in libraries] for _ in range(_RUNS)]
    for which, what in enumerate(("saved, up to the next step", "loaded by it")):
        ours, theirs = (times_ms(run[which] for run in runs) for runs in zip(*taken, strict=True))
        name = f"an array of {mebibytes:,} MiB {what}"
        yield Figure("artifacts_beside_metaflow", "local store", name, ours, METAFLOW, theirs)


def _run(library: Library) -> tuple[float, float]:
    """Seconds of saving and of loading."""
    library.run("large.py", "run")
    left_at, entered_at, loaded_at = library.read("read.py")
    return entered_at - left_at, loaded_at - entered_at
