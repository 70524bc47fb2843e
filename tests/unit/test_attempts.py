"""Which attempt of a task counts, and in which order tasks come."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from eventflow.errors import NotFound
from eventflow.model.run import RunRequest
from eventflow.model.task import TaskKey
from eventflow.store.attempts import (
    attempt_of,
    attempts_of,
    attempts_of_task,
    in_order_of_tasks,
)
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from tests.support.stored import History

IN_ORDER = ["0-0", "0-0.1", "0-1", "0-9", "0-9.2", "0-9.10", "0-10", "0-10-3", "0-10-20", "1"]


def _put(history: History, run: RunRequest, *keys: TaskKey) -> None:
    for key in keys:
        history.output(run, key, "stdout", "x")


def test_tasks_are_ordered_by_their_numbers() -> None:
    names = list(IN_ORDER)
    random.Random(3).shuffle(names)

    assert sorted(names, key=in_order_of_tasks) == IN_ORDER


def test_the_tenth_item_of_a_foreach_comes_after_the_ninth(history: History) -> None:
    run = history.begin()
    _put(history, run, *(TaskKey(1, "train", f"0-{n}") for n in (10, 9, 100, 2)))

    keys = attempts_of(history.world.store, place_of(run), "train")

    assert [key.task for key in keys] == ["0-2", "0-9", "0-10", "0-100"]


def test_the_latest_attempt_of_the_latest_epoch_counts_until_the_end_says_which(
    history: History,
) -> None:
    run = history.begin()
    first, second, third = (TaskKey(e, "train", "0", a) for e, a in ((1, 0), (1, 1), (2, 0)))
    _put(history, run, third, first, second)
    store, place = history.world.store, place_of(run)

    before = attempt_of(store, place, "train", "0")
    history.end(run, second)
    after = attempt_of(store, place, "train", "0")

    assert (before, after) == (third, second)
    assert attempts_of(store, place, "train") == (second,)
    assert attempts_of_task(store, place, "train", "0") == (first, second, third)


def test_a_task_is_found_without_looking_at_the_others_of_its_step(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = history.begin()
    _put(history, run, *(TaskKey(1, "train", f"0-{n}") for n in range(30)))
    store, seen = history.world.store, []
    list_keys = store.list

    def counted(*args: object, **options: object) -> object:
        for each in list_keys(*args, **options):  # type: ignore[arg-type]
            seen.append(each)
            yield each

    monkeypatch.setattr(store, "list", counted)
    key = attempt_of(store, place_of(run), "train", "0-1")

    assert key == TaskKey(1, "train", "0-1")
    assert len(seen) <= 4  # its object, and the names of the epochs


def test_a_task_that_left_nothing_is_not_found(history: History) -> None:
    run = history.begin()

    with pytest.raises(NotFound, match="no task train/0 that has ended"):
        attempt_of(history.world.store, place_of(run), "train", "0")
