"""Why an attempt failed: one `failure.json` beside its output, so that nobody has to parse that.

Put when the attempt is given up, after its output: user code's own failure, or what killed its
process. An attempt that nobody could bury has none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject, ObjectMissing
from eventflow.store.deciding import read_json

if TYPE_CHECKING:
    from eventflow.model.task import TaskKey
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = ["TaskFailure", "read_failure", "write_failure"]

_KEPT_CHARACTERS = 64 * 1024
_CUT = "\n… {} characters left out …\n"


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Why an attempt failed. `reason` is one line, `ValueError: no rows (train.py:31)`;
    `traceback` has several: what its stderr ends with."""

    reason: str
    traceback: str

    def __str__(self) -> str:
        return self.reason


def write_failure(
    store: Store, place: RunPlace, key: TaskKey, *, reason: str, traceback: str
) -> None:
    """Keep why an attempt failed; the first to say it is heard.

    Of a long text the first and the last 64 Ki characters are kept.
    """
    content = {"reason": _shortened(reason), "traceback": _shortened(traceback)}
    store.put_all([(place.failure(key), json.dumps(content).encode())])


def read_failure(store: Store, place: RunPlace, key: TaskKey) -> TaskFailure | None:
    """Why an attempt failed, by one read; None when it did not, or nobody could say.

    Raises:
        CorruptObject: it cannot be read.
    """
    try:
        content = read_json(store, place.failure(key))
    except ObjectMissing:
        return None
    reason, traceback = content.get("reason"), content.get("traceback")
    if not isinstance(reason, str) or not isinstance(traceback, str):
        raise CorruptObject(f"{store.url}/{place.failure(key)} is not what it should be.")
    return TaskFailure(reason, traceback)


def _shortened(text: str) -> str:
    left_out = len(text) - 2 * _KEPT_CHARACTERS
    if left_out <= 0:
        return text
    return text[:_KEPT_CHARACTERS] + _CUT.format(left_out) + text[-_KEPT_CHARACTERS:]
