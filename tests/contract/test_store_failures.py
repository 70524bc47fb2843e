"""Why an attempt failed, on each backend: the first to say it is heard."""

from __future__ import annotations

import pytest

from eventflow.errors import CorruptObject
from eventflow.model.task import TaskKey
from eventflow.store.failures import TaskFailure, read_failure, write_failure
from eventflow.store.layout import RunPlace
from eventflow.store.port import Store
from tests.contract.store_fixtures import place, store

__all__ = ["place", "store"]

RUN = RunPlace("fraud/prod", "TrainFlow", "rabc")
TRAIN = TaskKey(epoch=1, step="train", task="0-3")
REASON = "ValueError: no rows (train.py:31)"


def test_a_failure_is_read_as_it_was_written(store: Store) -> None:
    write_failure(store, RUN, TRAIN, reason=REASON, traceback="Traceback …\n\ud800\n")

    failure = read_failure(store, RUN, TRAIN)

    assert failure == TaskFailure(REASON, "Traceback …\n\ud800\n")
    assert str(failure) == REASON


def test_the_first_reason_of_an_attempt_stands(store: Store) -> None:
    write_failure(store, RUN, TRAIN, reason=REASON, traceback="")
    write_failure(store, RUN, TRAIN, reason="its process is gone", traceback="")

    failure = read_failure(store, RUN, TRAIN)

    assert failure == TaskFailure(REASON, "")


def test_an_attempt_that_did_not_fail_has_no_failure(store: Store) -> None:
    write_failure(store, RUN, TRAIN, reason=REASON, traceback="")

    assert read_failure(store, RUN, TaskKey(1, "train", "0-3", 1)) is None


def test_a_long_traceback_keeps_its_beginning_and_its_end(store: Store) -> None:
    text = "first" + "x" * 200_000 + "last"

    write_failure(store, RUN, TRAIN, reason=REASON, traceback=text)

    failure = read_failure(store, RUN, TRAIN)
    assert failure is not None
    assert len(failure.traceback) < 140_000
    assert failure.traceback.startswith("first")
    assert failure.traceback.endswith("last")
    assert f"{len(text) - 128 * 1024} characters left out" in failure.traceback


def test_a_failure_that_is_none_is_corrupt(store: Store) -> None:
    store.put_if_absent(RUN.failure(TRAIN), b'{"reason": 1, "traceback": ""}')

    with pytest.raises(CorruptObject, match=r"failure\.json"):
        read_failure(store, RUN, TRAIN)
